"""The command `edgewright inspect`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtimes import plugins
from runtimes.codec import encode
from runtimes.errors import UsageError, one_line
from toolchain.cli._options import check_exists, text_or_json_option
from toolchain.cli._source_options import input_option, trust_option
from toolchain.sources.open_source import check_source, is_source

if TYPE_CHECKING:
    from runtimes.bundles.input_limits import InputLimits
    from runtimes.bundles.manifest import Artifact
    from runtimes.tensors import TensorSpec
    from toolchain.analysis.inspection import Inspection


@click.command()
@click.argument("path", metavar="SOURCE|BUNDLE")
@input_option
@trust_option
@click.option(
    "--sbom",
    is_flag=True,
    help="Print a bundle's bill of materials instead, in CycloneDX 1.6 as JSON.",
)
@text_or_json_option
def command(path: str, inputs: tuple[TensorSpec, ...], trusted: bool, sbom: bool, form: str) -> None:
    """Show a model's inputs, outputs, operators, size and precisions, and the operators that int8 would compute.

    A source is opened as `build` does it, so these are those of the model that `build` starts from.

    \b
    edgewright inspect model.onnx
    edgewright inspect classifier.py:load --input 'pixels=float32[N,64]'
    edgewright inspect out/digits-x86-64-v4-vnni.edge
    edgewright inspect out/digits-x86-64-v4-vnni.edge --sbom
    """
    if is_source(path):
        check_source(path)
    else:
        check_exists(Path(path))
    from runtimes.bundles.bundle import Bundle

    if sbom:
        if is_source(path):
            raise UsageError(f"'{path}' is a source, and --sbom is for a bundle; build it first.")
        _check_no_inputs(path, inputs)
        with plugins.optional_import("A bill of materials"):
            from toolchain.packaging.bill_of_materials import bill_of_materials
        with Bundle(Path(path)) as bundle:
            click.echo(bill_of_materials(bundle), nl=False)
        return
    from toolchain.analysis.inspection import inspect_model
    from toolchain.sources.open_source import open_source

    manifest: dict[str, Any] = {}
    if is_source(path):
        with tempfile.TemporaryDirectory(prefix="edgewright-") as work:
            inspection = inspect_model(open_source(path, inputs, Path(work, "source.onnx"), trusted=trusted).path)
    else:
        with tempfile.TemporaryDirectory(prefix="edgewright-") as work, Bundle(Path(path)) as bundle:
            _check_no_inputs(path, inputs)
            bundle.check()
            artifact = bundle.manifest.artifact
            manifest = {
                "model": bundle.manifest.model,
                "profile": bundle.manifest.profile.name,
                **(encode(bundle.manifest.release) if bundle.manifest.release is not None else {}),
                "precision": artifact.precision,
                "runtime": artifact.runtime,
                "threads": artifact.settings.threads,
                **({"states": dict(artifact.states)} if artifact.states else {}),
                **({"limits": _limits(artifact.limits)} if artifact.limits else {}),
                "golden_samples": bundle.manifest.golden.samples,
                "tool_versions": dict(artifact.tool_versions),
                "source_sha256": artifact.source_sha256,
                "recipe": dict(bundle.manifest.recipe),
            }
            if artifact.is_engine:
                _show_engine(manifest, artifact, form)
                return
            file = Path(work, artifact.file.name)
            file.write_bytes(bundle.read(artifact.file.as_posix()))
            inspection = inspect_model(file)
    if form == "json":
        click.echo(json.dumps({**manifest, **encode(inspection)}, indent=2))
        return
    _print_manifest(manifest)
    _print(inspection)


def _check_no_inputs(path: str, inputs: tuple[TensorSpec, ...]) -> None:
    if inputs:
        raise UsageError(f"'{path}' is a bundle, which declares its own inputs; leave out --input.")


def _show_engine(manifest: dict[str, Any], artifact: Artifact, form: str) -> None:
    """Show an engine without loading it: its tensors, its plan, and the layers that TensorRT listed."""
    parts = {name: getattr(artifact, name) for name in ("inputs", "outputs", "size_bytes", "plan", "layers")}
    if form == "json":
        click.echo(json.dumps({**manifest, **encode(parts)}, indent=2))
        return
    _print_manifest(manifest)
    _print_tensors(artifact.inputs, artifact.outputs)
    _say(f"size: {artifact.size_bytes / 1e6:.2f} MB")
    for layer in artifact.layers:
        _say(f"layer: {layer.name}, {layer.kind}, {layer.precision or 'no precision listed'}")


def _limits(limits: InputLimits) -> dict[str, str]:
    """Write each limit as a comparison, beginning with the operator."""
    sizes = {name: f"<= {largest}" for name, largest in limits.sizes.items()}
    empty = {name: f"0 to {limits.sizes[name]}" if name in sizes else ">= 0" for name in limits.may_be_empty}
    return {**sizes, **empty, **{name: f"< {rows}" for name, rows in limits.rows.items()}}


def _print_manifest(manifest: dict[str, Any]) -> None:
    from hwbench.wording import kept

    for key, value in manifest.items():
        if key != "recipe":
            _say(f"{key}: {value if not isinstance(value, dict) else ', '.join(f'{k} {v}' for k, v in value.items())}")
        elif layers := kept(value, most=None):
            _say(f"layers: {layers}")


def _print_tensors(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
    for kind, specs in (("input", inputs), ("output", outputs)):
        for spec in specs:
            _say(f"{kind}: {spec}")


def _print(inspection: Inspection) -> None:
    _print_tensors(inspection.inputs, inspection.outputs)
    _say(f"opset: {inspection.opset}" + (f", and {', '.join(inspection.domains)}" if inspection.domains else ""))
    _say(f"size: {inspection.size_bytes / 1e6:.2f} MB, {inspection.parameters:,} parameters")
    _say("weights: " + ", ".join(f"{dtype} {n:,}" for dtype, n in inspection.weights.items()))
    _say("operators: " + ", ".join(f"{op} {n}" for op, n in inspection.operators.items()))
    if inspection.layers:
        _say("layers in the graph: " + ", ".join(f"{n} in {precision}" for precision, n in inspection.layers.items()))
    if inspection.calibration is not None:
        _say(f"ranges by: {inspection.calibration}")
    if inspection.corrections is not None:
        _say(f"corrections, and the number of operators that each changed: {inspection.corrections}")
    if inspection.refusal is not None:
        _say(f"int8: {inspection.refusal}")
        return
    _say(f"int8 would compute: {', '.join(f'{op} {n}' for op, n in inspection.quantizable.items())}")
    left = ", ".join(f"{op} {n}" for op, n in inspection.left_in_float.items())
    _say(f"int8 would leave in float32: {left or 'nothing'}")


def _say(line: str) -> None:
    click.echo(one_line(line))  # names come from the file, and may hold a terminal's control characters
