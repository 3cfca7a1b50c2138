"""The `.edge` file: its container, its manifest, its signature, and how it is opened."""
