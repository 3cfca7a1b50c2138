"""The device's command line: `python -m runtimes info|verify|run|sample BUNDLE`.

Exit codes: 0 done; 1 the golden samples do not match; 2 anything else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from runtimes import samples
from runtimes.bundle import Bundle
from runtimes.codec import decode, encode
from runtimes.errors import EdgewrightError, UsageError
from runtimes.golden import replay
from runtimes.loading import load
from runtimes.sampling import SamplingPlan, memory_bytes, sample
from runtimes.tensors import Array

_DISTINCT_FEEDS = 8  # inputs taken in turn while timing: enough to vary the data, few enough to hold


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except EdgewrightError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _info(options: argparse.Namespace) -> int:
    with Bundle(options.bundle) as bundle:
        print(json.dumps(encode(bundle.manifest), indent=2))
    return 0


def _verify(options: argparse.Namespace) -> int:
    with Bundle(options.bundle) as bundle:
        results = replay(bundle, any_machine=options.any_machine)
        count = bundle.manifest.golden.samples
    for result in results:
        word = "ok" if result.passed else "MISMATCH"
        print(
            f"{word}: {result.output} differs by {result.error:.2e} (tolerance {result.tolerance:.0e}) on {count} samples"
        )
    if all(result.passed for result in results):
        return 0
    print(
        "The bundle is intact, but this machine computes something else than the one it was packed on. Known "
        "causes: int8 saturation on a CPU without VNNI; another version of the runtime; another architecture.",
        file=sys.stderr,
    )
    return 1


def _run(options: argparse.Namespace) -> int:
    arrays = _read_npz(options.inputs)
    with load(options.bundle, any_machine=options.any_machine) as session:
        batch = samples.batch_size(session.inputs, arrays) if samples.count(session.inputs, arrays) else 1
        runs = [session.run(feed) for feed in samples.feeds(session.inputs, arrays)]
    if not runs:
        raise UsageError(f"'{options.inputs}' holds no samples.")
    np.savez(options.outputs, **samples.gather(runs, batch))  # type: ignore[arg-type]  # names may shadow savez's own
    return 0


def _sample(options: argparse.Namespace) -> int:
    plan = decode(SamplingPlan, json.loads(options.plan), "--plan")
    arrays = _read_npz(options.inputs)
    idle_memory_bytes = memory_bytes("VmRSS")
    start = time.perf_counter_ns()
    with load(options.bundle, any_machine=options.any_machine) as session:
        load_ns = time.perf_counter_ns() - start
        feeds = list(itertools.islice(samples.feeds(session.inputs, arrays), _DISTINCT_FEEDS))
        block = sample(session, feeds, plan, load_ns, idle_memory_bytes)
    options.out.write_text(json.dumps(encode(block)))
    return 0


def _read_npz(path: Path) -> Mapping[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"'{path}' cannot be read as an .npz of plain arrays: {error}.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtimes", description="Open .edge bundles on a device.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("info", _info, "print the manifest"),
        ("verify", _verify, "check every digest, replay the golden samples"),
        ("run", _run, "run the samples of an .npz"),
        ("sample", _sample, "measure raw latency samples (what hwbench calls)"),
    ):
        sub = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        sub.add_argument("bundle", type=Path)
        sub.set_defaults(command=command)
        if name != "info":
            sub.add_argument(
                "--any-machine", action="store_true", help="open it though its profile is another machine's"
            )
        if name in ("run", "sample"):
            sub.add_argument("--inputs", type=Path, required=True, help=".npz with an array per input, samples first")
        if name == "run":
            sub.add_argument("--outputs", type=Path, required=True, help=".npz to write")
        if name == "sample":
            sub.add_argument("--plan", default="{}", help="the sampling plan, as JSON")
            sub.add_argument("--out", type=Path, required=True, help="where the block's JSON goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
