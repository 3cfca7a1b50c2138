"""Notes of a report on the sizes of dynamic dimensions: those that samples have, and those that the source takes."""

from __future__ import annotations

from collections.abc import Mapping

from hwbench.data.dataset import Dataset
from toolchain.search.trials import BuildContext
from toolchain.sources.sizes import batches


def size_notes(context: BuildContext) -> tuple[str, ...]:
    """Write notes on dimensions that have one size in all samples of a kind, and on the largest sizes."""
    calibration, scored = context.builder.calibration, context.scorer.samples
    if calibration is None:
        found = single_sizes(scored, "evaluation", "scored and timed")
    elif calibration.sizes == scored.sizes:
        found = single_sizes(scored, "calibration and evaluation", "calibrated, scored and timed")
    else:
        found = (
            *single_sizes(calibration, "calibration", "calibrated"),
            *single_sizes(scored, "evaluation", "scored and timed"),
        )
    return (*found, *_largest(context.builder.limits.sizes))


def single_sizes(data: Dataset, use: str, done: str) -> tuple[str, ...]:
    """Write a warning of dimensions, other than a batch, that have one size in all samples; none if there are none.

    What is calibrated and scored at one size may be wrong at others.

    Args:
        data: the samples.
        use: their name: "calibration", "evaluation".
        done: what they are used for, in a passive form: "scored and timed".
    """
    batch = batches(data.specs)
    single = [f"{name} = {sizes[0]}" for name, sizes in data.sizes.items() if len(sizes) == 1 and name not in batch]
    if not single:
        return ()
    return (
        f"All {use} samples have {' and '.join(single)}, so that is the size that was {done}; give samples of the "
        "sizes that the device will see.",
    )


def _largest(sizes: Mapping[str, int]) -> tuple[str, ...]:
    if not sizes:
        return ()
    listed = " and ".join(f"{name} = {size}" for name, size in sizes.items())
    return (f"The source takes {listed} at most; sessions refuse what is larger.",)
