"""A failed gate names the layer that was slowed, by real profiles of real models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwbench.budgets.budget import parse_all
from hwbench.budgets.verdicts import Verdict
from hwbench.gate.gate import Gated, GatePlan
from hwbench.gate.layer_attribution import explain
from hwbench.stats.intervals import Estimate
from hwbench.targets.local import LocalTarget
from runtimes.errors import BackendError
from runtimes.profilers import NodeTime, Profile

pytestmark = pytest.mark.usefixtures("one_process")
PLAN = GatePlan(max_time_s=60, seed=0)
(BUDGET,) = parse_all(["p50<=+5%"])


def model(extra: bool) -> bytes:
    """MatMuls of 4 x 4 and Tanhs; `extra` puts a product by way of 512 in between."""
    sizes = [(4, 4), *([(4, 4096), (4096, 4)] if extra else []), (4, 3)]
    weights = [numpy_helper.from_array(np.ones(size, np.float32), f"w{n}") for n, size in enumerate(sizes)]
    nodes = []
    for n in range(len(sizes)):
        name = ("extra" if extra and n in (1, 2) else "product") + f"_{n}"
        nodes.append(helper.make_node("MatMul", [f"x{n}" if n else "x", f"w{n}"], [f"m{n}"], name=name))
        last = f"x{n + 1}" if n + 1 < len(sizes) else "y"
        nodes.append(helper.make_node("Tanh", [f"m{n}"], [last], name=f"tanh_{n}"))
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


@pytest.fixture
def bundles(pack_linear, tmp_path: Path) -> tuple[Path, Path]:
    return pack_linear(tmp_path / "new.edge", model(extra=True)), pack_linear(tmp_path / "old.edge", model(extra=False))


def gated(make_report, outcome: str = "fail") -> Gated:
    verdict = Verdict(BUDGET, outcome, Estimate(0.5, 0.4, 0.6), "p50 change of +50.0% exceeds +5.0%")
    return Gated(make_report(), make_report(), (verdict,))


def test_an_extra_product_is_named_first(bundles, make_report):
    found = explain(gated(make_report), bundles, (LocalTarget(), LocalTarget()), PLAN, lambda word: None)
    assert found.layers.missing == ""
    first = found.layers.moved[0]
    assert first.layer.startswith("extra_")
    assert first.before_us is None
    assert "slower: extra_" in found.verdicts[0].reason


def test_a_pass_is_not_explained(bundles, make_report):
    passed = gated(make_report, "pass")
    assert explain(passed, bundles, (LocalTarget(), LocalTarget()), PLAN, lambda word: None) is passed


class OneNode:
    """A target whose profile is of one node, or fails."""

    machine = run = sample = print

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def profile(self, bundle: Path, inputs: Path) -> Profile:
        if self.error is not None:
            raise self.error
        return Profile((NodeTime("a", "Conv", "float product", 1.0),))


def test_what_cannot_be_compared_says_why_and_leaves_the_verdict(bundles, make_report):
    failing = OneNode(BackendError("no such kernel"))
    found = explain(gated(make_report), bundles, (failing, failing), PLAN, lambda word: None)
    assert found.layers.missing == "a profile failed: no such kernel"
    assert found.verdicts == gated(make_report).verdicts
    quick = (OneNode(), OneNode())
    short = explain(gated(make_report), bundles, quick, GatePlan(max_time_s=0), lambda word: None)
    assert "time for 1 profile of each side" in short.layers.missing
