"""The command `edgewright build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtimes.errors import UsageError
from toolchain.candidates.defaults import precisions
from toolchain.cli import _config_file
from toolchain.cli._input_files import check_keeps_inputs, note_inputs
from toolchain.cli._option_types import FileOrName, NamesOption, Time
from toolchain.cli._options import (
    INTERRUPTED,
    budget_option,
    confidence_option,
    correction_option,
    duration_option,
    existing,
    format_option,
    out_folder_option,
    sampling_plan,
    verbose_option,
)
from toolchain.cli._sample_options import calibration_option, evaluation_options, samples_option
from toolchain.cli._show_results import show_build
from toolchain.cli._source_options import input_option, output_option, state_option, trust_option
from toolchain.cli._target_option import open_target, target_option
from toolchain.sources.open_source import check_source, default_name

if TYPE_CHECKING:
    from hwbench.targets import Target
    from runtimes.profile import HardwareProfile
    from toolchain.engines.shape_ranges import DimensionRanges
    from toolchain.pipeline.request import BuildRequest

DURATION_S = 0.5  # of a block; up to thirty are measured, and processes differ more than the runs of one do


def _source(ctx: click.Context, _: click.Parameter, source: str) -> str:
    """Check the source, or read an edgewright.toml.

    The parameter is eager, since the file holds the defaults of the other parameters.
    """
    if source.endswith(".toml"):
        defaults = _config_file.read(Path(source), ctx)
        note_inputs(ctx, [source])
        if "source" not in defaults:
            raise UsageError(f"'{source}' names no source; add: source = \"model.onnx\"")
        source, ctx.default_map = str(defaults.pop("source")), defaults
    if not ctx.resilient_parsing:
        check_source(source)
    return source


def _name(ctx: click.Context, _: click.Parameter, given: str | None) -> str:
    name = given or default_name(ctx.params["source"])
    if Path(name).name != name or name.startswith(".") or not name.isprintable():
        raise UsageError(f"The name {name!r} cannot name a file; give a word, as in --name digits.")
    return name


def _profiles(ctx: click.Context, _: click.Parameter, names: tuple[str, ...]) -> tuple[HardwareProfile, ...]:
    from hwbench.machine import device_profiles

    note_inputs(ctx, names)
    return tuple(map(device_profiles.load, names))


def _precisions(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    precisions(names)
    return names  # none named stays none: only a precision that was named is an error if its samples are missing


def _ranges(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[DimensionRanges, ...]:
    from toolchain.engines.shape_ranges import parse_ranges

    return parse_ranges(texts)


@click.command()
@click.argument("source", type=FileOrName(), is_eager=True, callback=_source)
@input_option
@trust_option
@output_option
@click.option(
    "--output-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="The number of rows of outputs whose sizes depend on the data, as a detector's boxes; zeros fill the rest.",
)
@state_option
@calibration_option("that int8's ranges are observed on")
@click.option(
    "--calibration-table",
    type=click.Path(path_type=Path),
    metavar="FILE.json",
    callback=existing,
    help="Ranges for static int8, written by edgewright calibrate; they replace those of the samples.",
)
@evaluation_options
@samples_option(
    "--unlabelled",
    "Further samples without labels, in the forms of --evaluation: where a candidate decides as the source does, "
    "no label can make it worse. For top1 and top5; they are run only if they can change a verdict.",
)
@click.option(
    "--profile",
    "profiles",
    cls=NamesOption,
    type=FileOrName(),
    multiple=True,
    metavar="NAME|FILE.toml",
    callback=_profiles,
    help="A device to build for; the target, if not given. Repeatable, or a list with commas.",
)
@click.option(
    "--precision",
    "precisions",
    cls=NamesOption,
    multiple=True,
    metavar="NAME",
    callback=_precisions,
    help="A precision to try; all, if not given. Repeatable, or a list, as in fp32,int8.",
)
@click.option(
    "--runtime",
    "runtimes",
    cls=NamesOption,
    multiple=True,
    metavar="NAME",
    help="A runtime to try; all that the profile lists, if not given. Repeatable, or a list with commas.",
)
@correction_option
@budget_option
@confidence_option(0.95)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="The maximum number of threads per inference, in place of the profile's.",
)
@duration_option("0.5, or 2,500 inferences")
@click.option(
    "--time-limit",
    "time_limit_s",
    type=Time(1),
    metavar="TIME",
    help="The longest time that the search takes, as in 90, 90s, 5m or 1h; then the best candidate so far is packed. "
    "Exporting and packing take extra time. Ctrl-C ends the search in the same way, once there are results.",
)
@click.option(
    "--exhaustive", is_flag=True, help="Measure every precision on every runtime well, and try no other candidates."
)
@click.option("--fresh", is_flag=True, help="Measure again what an earlier build measured on this machine.")
@click.option("--name", callback=_name, help="The model's name, which the bundles are named after.")
@target_option("measures candidates")
@out_folder_option("out")
@click.option("--plan", is_flag=True, help="Print the plans of TensorRT engines and stop. Needs no TensorRT.")
@click.option(
    "--range",
    "ranges",
    multiple=True,
    metavar="DIM=MIN:OPT:MAX",
    callback=_ranges,
    help="Sizes that a dynamic dimension takes in an engine. Repeatable; a dimension that occurs again starts the next "
    "optimization profile.",
)
@format_option
@verbose_option
@click.pass_context
def command(
    ctx: click.Context, /, plan: bool, form: str, verbose: bool, duration: float | None, target: str, **asked: Any
) -> None:
    """Take a trained model to a measured, packed, gated bundle per device.

    SOURCE is model.onnx, model.pt2, model.pt (TorchScript), model.keras, MODULE:FACTORY, FILE.py:FACTORY, or an
    edgewright.toml that holds these options under their long names.

    \b
    edgewright build model.onnx --target ssh://pi@raspberrypi.local --calibration c.npz
    edgewright build efficientnet.py:load --input 'image=float32[N,3,224,224]' \\
        --calibration c.npz --evaluation e.npz --metric top1 \\
        --profile x86-64-v4-vnni --budget 'p90<=20ms' --budget 'accuracy_drop<=0.01' --out out
    """
    profiles = asked["profiles"]
    with open_target(target, profiles[0] if len(profiles) == 1 else None) as there:
        if not profiles:
            from hwbench.machine import device_profiles

            asked["profiles"] = (device_profiles.detect(there.machine),)
        _build(ctx, there, request_of(duration=duration, **asked), plan=plan, form=form, verbose=verbose)


def _build(ctx: click.Context, target: Target, request: BuildRequest, *, plan: bool, form: str, verbose: bool) -> None:
    from toolchain.output_folder import output_folder
    from toolchain.pipeline.request import result_files

    if plan:
        from toolchain.cli._plans import show_plans

        ctx.exit(show_plans(request, form))
    check_keeps_inputs(ctx, result_files(request), "out")
    with output_folder(request.out):
        from toolchain.pipeline.build import build

        results = build(request, target)
    show_build(results, request.out, form, verbose=verbose)
    from hwbench.budgets.outcome import EXIT_CODES

    interrupted = any(result.search and "Ctrl-C" in (result.search.stopped or "") for result in results.profiles)
    ctx.exit(INTERRUPTED if interrupted else EXIT_CODES[results.outcome])


def request_of(duration: float | None = None, **asked: Any) -> BuildRequest:
    """Make the request of the command's parameters, under their names.

    Raises:
        UsageError: a budget is not for a build, or a runtime is unknown to a profile.
    """
    from hwbench.measurements.quantities import QUANTITIES
    from runtimes.sampling.closed_loop import SamplingPlan
    from toolchain.candidates.build_cache import default_folder
    from toolchain.candidates.candidate import check_runtimes
    from toolchain.pipeline.request import BuildRequest

    sampling = sampling_plan(duration) if duration is not None else SamplingPlan(duration_s=DURATION_S)
    request = BuildRequest(**asked, sampling=sampling, cache=default_folder())
    for budget in request.budgets:
        if budget.relative:
            raise UsageError(
                f"Budget '{budget.text}' compares with a baseline, which edgewright gate does; leave it out."
            )
        if budget.at:
            raise UsageError(
                f"Budget '{budget.text}': a build times its samples as they are; give samples of that size, or gate "
                "the bundle with it."
            )
        if QUANTITIES[budget.quantity].by_gate:
            raise UsageError(f"Budget '{budget.text}': a build does not measure it; gate the bundle with it.")
    for profile in request.profiles:
        check_runtimes(profile, request.runtimes)
    return request
