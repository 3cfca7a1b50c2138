"""Serving: a session over HTTP. It needs the packages of the extra `serve`."""
