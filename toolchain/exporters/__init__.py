"""One file per kind of source: `export(source, inputs, out, samples) -> OnnxModel`, checked against its source."""
