"""Printing of engine plans, for `edgewright build --plan`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from runtimes.codec import encode
from runtimes.errors import UsageError
from toolchain.engines.overview import overview, render
from toolchain.pipeline.request import BuildRequest
from toolchain.sources.open_source import open_source


def show_plans(request: BuildRequest, form: str) -> int:
    """Print the plans of a request's profiles.

    Returns:
        The exit code: 2 if a device can have no engine at all.

    Raises:
        UsageError: the source cannot be read, a device has no TensorRT, or plans are not printed in the format.
    """
    if form not in ("text", "json"):
        raise UsageError(f"--plan prints text or json, not {form}.")
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        inputs = open_source(
            request.source, request.inputs, Path(folder, "source.onnx"), trusted=request.trusted
        ).inputs
    planned = [
        overview(profile, inputs, request.ranges, request.precisions, request.runtimes) for profile in request.profiles
    ]
    rows = [row for device in planned for row in device]
    click.echo(json.dumps(encode(rows), indent=1) + "\n" if form == "json" else render(rows), nl=False)
    return 0 if all(any(row.plan for row in device) for device in planned) else 2
