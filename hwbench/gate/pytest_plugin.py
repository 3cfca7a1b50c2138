"""A pytest fixture that gates a model: `def test_latency(edgewright_gate): edgewright_gate("model.edge", "p90<=20ms")`.

pytest loads this module wherever edgewright is installed, so it imports the rest only where a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hwbench.gate.gate import Gated

Gate = Callable[..., "Gated"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --edgewright-inconclusive."""
    parser.getgroup("edgewright").addoption(
        "--edgewright-inconclusive",
        choices=("fail", "skip"),
        default="fail",
        help="the outcome of a test whose gate is inconclusive; it never passes (default: fail)",
    )


@pytest.fixture
def edgewright_gate(request: pytest.FixtureRequest) -> Gate:
    """Give a function that gates a bundle, and fails the test if a budget is broken.

    It takes the bundle's path, budgets as text, and by name `baseline` (a path), `max_time_s`, `block_s` and
    `confidence`; it returns the `Gated`. Each verdict is recorded as a property of the test, which JUnit XML shows.
    """

    def run(candidate: str | Path, *budgets: str, baseline: str | Path | None = None, **plan: Any) -> Gated:
        from hwbench.budgets import verdicts
        from hwbench.budgets.budget import parse_all
        from hwbench.gate.gate import GatePlan, gate_bundle
        from hwbench.targets.local import LocalTarget
        from runtimes.errors import EdgewrightError, UsageError

        try:
            if not budgets:
                raise UsageError("There is no budget to judge by; give one, as in edgewright_gate(PATH, 'p90<=10ms').")
            gated = gate_bundle(
                Path(candidate),
                Path(baseline) if baseline is not None else None,
                parse_all(budgets),
                LocalTarget(),
                GatePlan(**plan),
                lambda done: None,
            )
        except EdgewrightError as error:
            mistake = str(error)
        else:
            mistake = ""
        if mistake:  # outside the handler, since pytest would also show the handled exception
            pytest.fail(mistake, pytrace=False)
        lines = [f"{verdict.budget.text}: {verdict.outcome}, {verdict.reason}" for verdict in gated.verdicts]
        for verdict, line in zip(gated.verdicts, lines):
            request.node.user_properties.append((verdict.budget.text, line))
        outcome = verdicts.overall(gated.verdicts)
        if outcome == "inconclusive" and request.config.getoption("--edgewright-inconclusive") == "skip":
            pytest.skip("\n".join(lines))
        if outcome != "pass":
            pytest.fail("\n".join(lines), pytrace=False)
        return gated

    return run
