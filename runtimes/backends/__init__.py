"""One module per runtime: `load(artifact, model) -> Session` and `version() -> str`."""
