"""One file per kind of source: `export(source, inputs, out) -> OnnxModel`, checked against the source's outputs."""
