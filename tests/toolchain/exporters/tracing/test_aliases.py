"""Functions of torch by their other names, with numbers of another type than the tensor's."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import torch

from toolchain.exporters import module
from toolchain.sources.input_specs import parse_input


class Aliases(torch.nn.Module):
    """Each alias with an integer, which torch promotes to the tensor's type."""

    def forward(self, x):
        two = torch.tensor(2, dtype=torch.int32)
        names = ("multiply", "subtract", "divide", "greater", "greater_equal", "less", "less_equal", "not_equal")
        functions = {name: getattr(torch, name)(x, two) for name in names}
        return {**functions, **{f"{name}_method": getattr(x, name)(two) for name in names}}


def test_an_alias_promotes_types_as_the_function_does(tmp_path):
    model = module.export(f"{__name__}:Aliases", (parse_input("x=float32[N,3]"),), tmp_path / "m.onnx")
    x = np.array([[1, 2, 3.5]], np.float32)
    outputs = dict(zip([spec.name for spec in model.outputs], ort.InferenceSession(model.path).run(None, {"x": x})))
    expected = Aliases()(torch.from_numpy(x))
    assert len(outputs) == 16
    assert all(np.array_equal(outputs[name], array) for name, array in expected.items())
