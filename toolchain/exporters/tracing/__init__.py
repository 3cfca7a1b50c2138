"""PyTorch modules: wired to the declared inputs, traced, and exported."""
