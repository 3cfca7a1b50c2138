"""Fitted corrections, one after another, as far as each lowers the noise at the outputs."""

from __future__ import annotations

from types import SimpleNamespace

import onnx_ir as ir
import pytest

from toolchain import corrections
from toolchain.models.onnx_model import CORRECTIONS_KEY
from toolchain.recipes.apply_corrections import correct
from toolchain.recipes.output_error import Noise
from toolchain.recipes.recipe import Recipe

RECIPE = Recipe("int8", corrections=("rounding", "bias"))


def marking(name: str) -> SimpleNamespace:
    """A correction that only notes its name in the graph, once for each time it was applied."""

    def change(model: ir.Model, *rest: object) -> tuple[ir.Model, int]:
        model.metadata_props["marks"] = model.metadata_props.get("marks", "") + name[0]
        return model, 2

    return SimpleNamespace(STAGE="after", IS_FITTED=True, correct=change)


def selected(monkeypatch: pytest.MonkeyPatch, noise: dict[str, float]) -> tuple[str, str]:
    """The marks of the graph that stays, and what it says of itself, by the noise of each graph."""
    monkeypatch.setattr(corrections, "correction", marking)

    def of(graph: ir.Model, ranges: object) -> Noise:
        decibels = noise[graph.metadata_props.get("marks", "")]
        return Noise(lambda start, end: [decibels] * (end - start), 4)

    graph = ir.Model(ir.Graph([], [], nodes=[]), ir_version=8)
    made = correct(graph, RECIPE, "after", {}, None, SimpleNamespace(of=of))  # type: ignore[arg-type]
    assert not graph.metadata_props
    return made.metadata_props.get("marks", ""), made.metadata_props[CORRECTIONS_KEY]


@pytest.mark.parametrize(
    ("noise", "marks", "said"),
    [
        ({"": -10, "r": -20, "rb": -25}, "rb", "rounding 2, bias 2"),
        ({"": -10, "r": -20, "rb": -19}, "r", "rounding 2, bias 0"),
        ({"": -10, "r": -9, "b": -11}, "b", "rounding 0, bias 2"),
        ({"": -10, "r": -9, "b": -8}, "", "rounding 0, bias 0"),
        ({"": -120, "r": -120, "rb": -120}, "rb", "rounding 2, bias 2"),  # nothing to compare
    ],
)
def test_what_lowers_the_noise_stays(monkeypatch, noise, marks, said):
    assert selected(monkeypatch, noise) == (marks, said)
