"""A session over HTTP. Needs packages beyond NumPy: the extra `serve`."""
