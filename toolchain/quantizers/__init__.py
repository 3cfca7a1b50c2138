"""One precision per file: `quantize(model, recipe, ranges) -> ir.Model`, ONNX in and ONNX out.

A quantizer changes the graph it is given, which is its own copy. Beside `quantize`, its file declares

- `COMPUTES_IN`: the arithmetic that a device needs for it: "fp32", "fp16", "bf16" or "int8".
- `NEEDS_RANGES`: whether it wants calibrated ranges: "no", "optional" (it does without, and less safely) or "yes".
  Where it wants them, `tensors(model, recipe)` names what is to be observed.
- `TAKES_SCHEME`: whether it asks for the runtime's int8 scheme, which a recipe then has.
- `HALF` and `computed(model, ranges)`, of a half precision in arithmetic: its dtype, and the nodes that compute in it.
- `GOLDEN_TOLERANCE`: the largest relative error of a bundle's golden outputs on a device, by what computes them.
"""
