"""One precision per file: `quantize(model, recipe, ranges) -> ir.Model`, ONNX in and ONNX out.

A quantizer changes the graph it is given, which is its own copy. Those that need calibrated ranges also have
`tensors(model, recipe)`, the names of what they want observed; `RANGES_ARE_OPTIONAL` says that they do without.
"""
