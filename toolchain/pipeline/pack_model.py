"""Packing of a source as it is, without a search, so that it can be measured like a bundle."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from runtimes.sample_arrays import Rows
from runtimes.samples import feeds
from runtimes.tensors import TensorSpec
from toolchain.analysis.count_work import work_of
from toolchain.builders import onnxruntime as builder
from toolchain.candidates.source_recipe import as_is
from toolchain.engines.build_target import BuildTarget
from toolchain.packaging.pack import Contents, pack
from toolchain.sources.input_specs import default_sizes, example_samples
from toolchain.sources.open_source import default_name, open_source


def pack_as_is(
    source: str,
    inputs: Sequence[TensorSpec],
    profile: HardwareProfile,
    threads: int | None,
    work: Path,
    samples: Mapping[str, Rows] | None = None,
    *,
    trusted: bool = False,
) -> tuple[Path, str]:
    """Pack a source for ONNX Runtime with random golden inputs, into the folder `work`.

    Args:
        source: a file, or MODULE:FACTORY.
        inputs: its inputs, if it does not declare them itself.
        profile: the device.
        threads: threads per inference; None for those of the profile.
        work: the folder.
        samples: real samples to export it with.
        trusted: read a file although it holds what runs as code.

    Returns:
        The bundle, and a caveat on figures that come from random inputs.

    Raises:
        UsageError: the source is not usable.
    """
    model = open_source(source, inputs, work / "source.onnx", samples, trusted=trusted)
    recipe = as_is(model)
    artifact = builder.build(model, recipe, RuntimeSettings(threads or profile.threads), work, BuildTarget(profile))
    examples = example_samples(model.inputs, 1)
    with contextlib.suppress(UsageError):  # the measurement fails too, with a better explanation
        artifact = dataclasses.replace(artifact, work=work_of(model, next(feeds(model.inputs, examples))))
    bundle = work / f"{default_name(source)}.edge"
    pack(Contents(default_name(source), profile, artifact, recipe, examples, {}), bundle)
    sizes = default_sizes(model.inputs)
    return bundle, f"No samples come with a source; latency is of random inputs{sizes}."
