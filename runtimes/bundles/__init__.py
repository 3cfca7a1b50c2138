"""The `.edge` file: its container, its manifest, its signature, and the class that opens it."""
