"""Models that cannot be exported: the reason, the line and the remedy, in one sentence each."""

from __future__ import annotations

import numpy as np
import pytest

from runtimes.errors import UsageError
from toolchain.exporters import module
from toolchain.sources.input_specs import parse_input

SOURCE = """
import torch
from torch import nn


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # here
            return x
        return -x


class Likely(nn.Module):
    def forward(self, x):
        choice = torch.distributions.Categorical(logits=x)  # here
        return choice.log_prob(x.argmax(-1))


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(8, 4, batch_first=True)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.layer(packed)[1]  # here


class Equal(nn.Module):
    def forward(self, x, other):
        return x + other


class KeyCache:
    pass


class Decoder(nn.Module):
    def forward(self, x):
        return {"logits": x, "past_key_values": KeyCache()}


class Cached(nn.Module):
    def forward(self, x):
        if torch.compiler.is_exporting():
            raise TypeError("past_key_values cannot be traced")  # here
        return x


class Raising(nn.Module):
    def forward(self, x):
        raise ValueError("no such mode")  # here
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """FILE.py with the models above; `# here` marks the line that the error has to name."""
    file = tmp_path_factory.mktemp("models") / "explained.py"
    file.write_text(SOURCE)
    return file


@pytest.mark.parametrize(
    ("name", "specs", "words"),
    [
        ("Branch", ["x=float32[N,8]"], "depends on values, .* Choose with torch.where or torch.cond"),
        ("Likely", ["x=float32[N,8]"], "Make the distribution with validate_args=False"),
        ("Packed", ["x=float32[N,T,8]", "lengths=int64[N]"], "packed sequences have no form in ONNX. .* with a mask"),
        ("Raising", ["x=float32[N,8]"], "ValueError: no such mode"),
        ("Cached", ["x=float32[N,8]"], r"cannot be traced\. Switch caches off with `config.use_cache = False`"),
    ],
)
def test_the_line_of_the_model_and_the_remedy_are_named(models, tmp_path, name, specs, words):
    samples = {"x": np.ones((4, 8), np.float32)}
    if name == "Packed":
        samples = {"x": np.ones((4, 8, 8), np.float32), "lengths": np.array([8, 3, 5, 1])}
    with pytest.raises(UsageError, match=words) as error:
        module.export(f"{models}:{name}", tuple(map(parse_input, specs)), tmp_path / "m.onnx", samples)
    before, _, after = SOURCE.partition(f" {name}(")
    line = (before + after.split("# here")[0]).count("\n") + 1
    assert f"explained.py:{line} (`" in str(error.value)
    assert "\n" not in str(error.value)


def test_dimensions_that_have_to_be_equal_are_named(models, tmp_path):
    specs = tuple(map(parse_input, ("x=float32[N,8]", "other=float32[M,8]")))
    with pytest.raises(UsageError, match=r"M = .* and N = .* must always be equal\. Give these dimensions one name"):
        module.export(f"{models}:Equal", specs, tmp_path / "m.onnx")


def test_a_cache_that_is_returned_is_named_with_the_remedy(models, tmp_path):
    words = "'.*Decoder': `forward` returns a KeyCache; .* Switch caches off with `config.use_cache = False`"
    with pytest.raises(UsageError, match=words):
        module.export(f"{models}:Decoder", (parse_input("x=float32[N,8]"),), tmp_path / "m.onnx")
