"""Packing of a model as it is, without a search, so that a bare ONNX file can be measured like a bundle."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from runtimes import samples
from runtimes.bundles.manifest import RuntimeSettings
from runtimes.errors import UsageError
from runtimes.profile import HardwareProfile
from toolchain.analysis.count_work import work_of
from toolchain.builders import onnxruntime as builder
from toolchain.candidates.source_recipe import as_is
from toolchain.engines.build_target import BuildTarget
from toolchain.packaging.pack import Contents, pack
from toolchain.sources.input_specs import default_sizes, example_samples
from toolchain.sources.open_source import default_name, open_source


def pack_as_is(source: Path, profile: HardwareProfile, threads: int | None, work: Path) -> tuple[Path, str]:
    """Pack a model for ONNX Runtime with random golden inputs, into the folder `work`.

    Returns:
        The bundle, and a caveat on figures that come from random inputs.

    Raises:
        UsageError: the source is not usable.
    """
    model = open_source(str(source), (), work / "source.onnx")
    recipe = as_is(model)
    artifact = builder.build(model, recipe, RuntimeSettings(threads or profile.threads), work, BuildTarget(profile))
    inputs = example_samples(model.inputs, 1)
    with contextlib.suppress(UsageError):  # the measurement fails too, with a better explanation
        artifact = dataclasses.replace(artifact, work=work_of(model, next(samples.feeds(model.inputs, inputs))))
    bundle = work / f"{default_name(str(source))}.edge"
    pack(Contents(default_name(str(source)), profile, artifact, recipe, inputs, {}), bundle)
    sizes = default_sizes(model.inputs)
    return bundle, f"No samples come with a bare model; latency is of random inputs{sizes}."
