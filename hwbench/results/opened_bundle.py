"""Opened bundle: the parts of a bundle that measuring needs, at the shapes that it is to be timed at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwbench.data import input_shapes
from hwbench.measurements.report import Report
from hwbench.results import profile_results
from hwbench.wording import recipe_name
from runtimes.bundles.bundle import REPORT, Bundle
from runtimes.bundles.manifest import Manifest
from runtimes.errors import UsageError
from runtimes.sample_arrays import Rows
from runtimes.sampling.closed_loop import Block

Shapes = Sequence[tuple[str, tuple[int, ...]]]
"""Names of inputs or dimensions, with their sizes; see `input_shapes.sizes_of`."""


@dataclass(frozen=True)
class OpenedBundle:
    """The parts of a bundle that measuring needs.

    Attributes:
        inputs: its golden samples.
        packed: the report that was packed with it.
        name: the candidate's name in its build; for a bundle without a report, its recipe's name.
        batch: the number of samples in an inference, if it was chosen with the inputs' shapes; else None.
    """

    path: Path
    manifest: Manifest
    inputs: Mapping[str, Rows]
    packed: Report | None
    name: str
    batch: int | None = None


def open_bundle(path: Path) -> OpenedBundle:
    """Read a bundle that is to be measured.

    Raises:
        BundleError: the file was refused.
        UsageError: it holds no samples to run.
    """
    with Bundle(path) as bundle:
        bundle.check()
        manifest = bundle.manifest
        if not manifest.golden.samples or not manifest.artifact.inputs:
            raise UsageError(f"'{path}' holds no golden samples to run; rebuild it with edgewright build.")
        inputs = bundle.golden("input", manifest.artifact.inputs)
        selected = None
        if REPORT in manifest.members:
            profiles = profile_results.from_json(bundle.read(REPORT), f"{path}: {REPORT}").profiles
            selected = profiles[0].selected if profiles else None
    artifact = manifest.artifact
    name = selected.name if selected else recipe_name(artifact.precision, artifact.runtime, manifest.recipe)
    return OpenedBundle(path, manifest, inputs, selected.report if selected else None, name)


def at_shapes(item: OpenedBundle, shapes: Shapes, at: Mapping[str, int] | None = None) -> OpenedBundle:
    """Bring a bundle's samples to shapes that it is to be timed at.

    Args:
        item: the bundle.
        shapes: an input's name and sizes, or a dimension's; inputs that share a dimension follow.
        at: sizes of dimensions, which count where the shapes have others.

    Raises:
        UsageError: a shape does not fit the bundle's inputs, or the model has states.
    """
    if not shapes and not at:
        return item
    artifact = item.manifest.artifact
    if artifact.states:
        raise UsageError(f"'{item.path}' has states, so its samples are sequences, whose sizes cannot be chosen.")
    named = [(name, (size,)) for name, size in (at or {}).items()]
    chosen = input_shapes.sizes_of(shapes, artifact.inputs) | input_shapes.sizes_of(named, artifact.inputs)
    inputs = input_shapes.resized(artifact.inputs, item.inputs, chosen)
    return dataclasses.replace(item, inputs=inputs, batch=input_shapes.batch_of(artifact.inputs, chosen))


def at_batch(block: Block, item: OpenedBundle) -> Block:
    """Set the number of samples of an inference where it was chosen."""
    return block if item.batch is None else dataclasses.replace(block, batch=item.batch)
