"""Options that take samples, and the reading of those that accuracy is computed on.

As in `_options`, heavy packages are imported within functions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtimes.errors import UsageError
from toolchain.cli._option_types import FileOrName, NamesOption
from toolchain.cli._options import F, existing

if TYPE_CHECKING:
    from hwbench.results.measure_bundles import Evaluation


def samples_option(name: str, text: str, *, required: bool = False) -> Callable[[F], F]:
    """Add an option that takes samples.

    Args:
        name: the option, as in "--calibration".
        text: its help.
        required: the command cannot do without it.
    """
    return click.option(
        name,
        type=click.Path(path_type=Path),
        required=required,
        metavar="FILE.npz|DIR|FILE.py:FACTORY",
        callback=existing,
        help=text,
    )


def calibration_option(use: str, *, required: bool = False) -> Callable[[F], F]:
    """Add --calibration.

    Args:
        use: completes "Samples ..." in the help: the command's use of the samples.
        required: the command cannot do without them.
    """
    return samples_option(
        "--calibration",
        f"Samples {use}: arrays named after the inputs, whose first axis is the samples; a folder of one .npz per "
        "sample; or a function that yields one dict of arrays per sample.",
        required=required,
    )


def evaluation_options(function: F) -> F:
    """Add --evaluation and --metric."""
    function = click.option(
        "--metric",
        "metrics",
        cls=NamesOption,
        type=FileOrName(),
        multiple=True,
        metavar="NAME|NAME:OUTPUT|FILE.py:FUNCTION",
        help="The metric of accuracy, such as top1, f1, mse, iou, map or wer (docs/metrics.md lists all), or your own "
        "function of (outputs, labels). Repeatable, or a list with commas; the first one orders candidates.",
    )(function)
    return samples_option(
        "--evaluation",
        "Samples that accuracy is computed on, with labels: arrays named after the inputs, whose first axis is "
        "the samples, and 'labels', or 'labels_OUTPUT' for the metric of one output; a folder of one .npz per sample; "
        "or a function that yields one dict of arrays per sample.",
    )(function)


def check_evaluation(file: Path | None, metrics: tuple[str, ...]) -> None:
    """Check --evaluation and --metric before anything heavy is imported.

    Raises:
        UsageError: there is a metric, and no samples to compute it on.
    """
    if file is None and metrics:
        raise UsageError(f"The metric {metrics[0]} needs labelled samples; give --evaluation FILE.npz.")


def evaluation_of(file: Path | None, metrics: tuple[str, ...]) -> Evaluation | None:
    """Open the samples of --evaluation, with the metrics of --metric; None if there are none."""
    if file is None:
        return None
    from hwbench.results.measure_bundles import Evaluation
    from toolchain.calibration.sample_factory import as_npz

    folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="edgewright-"))
    return Evaluation(as_npz(file, Path(folder, "evaluation.npz")), metrics)
