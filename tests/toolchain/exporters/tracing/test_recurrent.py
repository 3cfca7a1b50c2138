"""Recurrent layers, and what follows them, at every length."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from runtimes.errors import UsageError
from toolchain.exporters._examples import example_feed
from toolchain.exporters.tracing.export_module import export_and_check
from toolchain.exporters.tracing.wiring import Wired, by_signature
from toolchain.sources.input_specs import parse_input


class Reader(nn.Module):
    """A recurrent layer, a second one, and layers that ask for the first one's length."""

    def __init__(self, kind: str, **options):
        super().__init__()
        torch.manual_seed(0)
        self.first = getattr(nn, kind)(8, 5, **options)
        width = 10 if options.get("bidirectional") else 5
        self.second, self.head = nn.GRU(width, 4, batch_first=True), nn.Linear(width, 3)

    def forward(self, x):
        steps, _ = self.first(x)
        return {"steps": steps, "again": self.second(steps)[0], "flat": self.head(steps).reshape(steps.shape[0], -1)}


@pytest.mark.parametrize(
    "options",
    [{"batch_first": True}, {"batch_first": True, "bidirectional": True, "num_layers": 2}, {}],
    ids=["plain", "bidirectional", "time-first"],
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers_are_right_at_every_length(tmp_path, kind, options):
    net = Reader(kind, **options).eval()
    specs = (parse_input("x=float32[A,B,8]"),)
    wired = Wired(net, by_signature(net, specs, "net"))
    model = export_and_check(wired, specs, example_feed(specs), tmp_path / "m.onnx", "net")
    width = 10 if options.get("bidirectional") else 5
    assert [spec.shape[:2] for spec in model.outputs[:2]] == [("A", "B"), ("A", "B")]
    assert model.outputs[0].shape[2] == width
    session = ort.InferenceSession(model.path)
    for shape in ((1, 1, 8), (3, 17, 8), (5, 2, 8)):
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        with torch.no_grad():
            expected = net(torch.from_numpy(x))
        for name, array in zip(expected, session.run(list(expected), {"x": x})):
            assert np.allclose(array, expected[name], atol=1e-5), (shape, name)


def test_what_onnx_has_no_operator_for_here_is_refused(tmp_path):
    net = nn.RNN(8, 5, batch_first=True).eval()
    specs = (parse_input("x=float32[N,T,8]"),)
    with pytest.raises(UsageError, match="takes only 8 for dimension 'T' of input 'x'"):
        export_and_check(
            Wired(net, by_signature(net, specs, "net")), specs, example_feed(specs), tmp_path / "m.onnx", "net"
        )
