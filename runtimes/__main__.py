"""The device's command line: `python -m runtimes COMMAND BUNDLE`, or `machine`.

Commands: info, verify, compile, run, sample, profile, count, serve.

Exit codes: 0 success; 1 the golden samples do not match; 2 wrong usage or any other failure; 130 interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from runtimes import files, npz, plugins, samples
from runtimes.bundles.bundle import Bundle
from runtimes.codec import encode
from runtimes.command_line import escape_unknown_characters, exit_code, read_plan
from runtimes.errors import UsageError, one_line
from runtimes.inference.load import check_machine, load
from runtimes.inference.step_sequences import count_samples, run_samples
from runtimes.processes.end_signals import end_orderly
from runtimes.processes.parent_death import end_with_parent
from runtimes.sampling.closed_loop import SamplingPlan, distinct_feeds, distinct_sequences, environment, sample
from runtimes.sampling.peak_memory import resident_bytes
from runtimes.serving.limits import Limits
from runtimes.verification.self_test import render, result_line, self_test


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    escape_unknown_characters()
    options = _parser().parse_args(arguments)
    return exit_code(lambda: options.command(options))


def _info(options: argparse.Namespace) -> int:
    with Bundle(options.bundle) as bundle:
        print(json.dumps(encode(bundle.manifest), indent=2))
    return 0


def _machine(options: argparse.Namespace) -> int:
    # The other commands need not wait for these imports.
    from runtimes.sampling.memory_speed import copy_bytes_per_s
    from runtimes.sampling.system_conditions import SystemMonitor
    from runtimes.sampling.system_facts import read_facts

    monitor, facts = SystemMonitor(), read_facts()
    speed = copy_bytes_per_s(facts) if options.memory_speed else None
    found = {"facts": encode(facts), "conditions": encode(monitor.conditions()), "copy_bytes_per_s": speed}
    print(json.dumps(found, indent=2))
    return 0


def _verify(options: argparse.Namespace) -> int:
    key, at_least = options.public_key, options.at_least
    test = self_test(options.bundle, public_key=key, any_machine=options.any_machine, at_least=at_least)
    print(render(test))
    return 0 if test.passed else 1


def _compile(options: argparse.Namespace) -> int:
    from runtimes.tensorrt.compile_bundle import compile_bundle  # the other commands need not wait for its import

    with Bundle(options.bundle, options.public_key) as bundle:
        done = compile_bundle(bundle, _percent if sys.stderr.isatty() else None)
        count = bundle.manifest.golden.samples
    environment = done.notes["environment"]
    by = f"{environment['runtime']} {environment['version']}, CUDA {environment['cuda']}, {environment['gpu']}"
    if done.was_built_before:
        print(f"The engine '{done.file}' was built before, by {by}.")
        return 0
    layers = len(done.notes["layers"])
    print(f"Built an engine of {layers} layer{'' if layers == 1 else 's'} in {done.notes['seconds']:.1f} s by {by}.")
    for warning in done.notes["warnings"]:
        print(f"warning: {one_line(warning)}", file=sys.stderr)
    for result in done.golden:
        print(one_line(result_line(result, count)))
    if all(result.passed for result in done.golden):
        print(f"Wrote '{done.file}'.")
        return 0
    print(
        "The engine's outputs differ from the golden outputs in the bundle, so the engine was not written.",
        file=sys.stderr,
    )
    return 1


def _percent(done: float, phase: str) -> None:
    end = "\r" if done < 1 else "\n"
    print(f"{done:4.0%} {phase[:60]:60}", end=end, file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> int:
    files.check_keeps(options.outputs, _read_by(options), "--outputs")
    inputs = npz.read(options.inputs)
    with load(
        options.bundle,
        any_machine=options.any_machine,
        public_key=options.public_key,
        at_least=options.at_least,
        state=options.state,
    ) as session:
        if count_samples(session, inputs) == 0:
            raise UsageError(f"'{options.inputs}' holds no samples; give at least one.")
        outputs = run_samples(session, inputs)
    npz.write(options.outputs, outputs)
    return 0


def _sample(options: argparse.Namespace) -> int:
    files.check_keeps(options.out, _read_by(options), "--out")
    plan = read_plan(SamplingPlan, options.plan)
    inputs = npz.read(options.inputs)
    idle_memory_bytes = resident_bytes()
    start = time.perf_counter_ns()
    with load(options.bundle, any_machine=options.any_machine, public_key=options.public_key) as session:
        load_ns = time.perf_counter_ns() - start
        if session.artifact.states:
            block = sample(session, distinct_sequences(session, inputs), plan, load_ns, idle_memory_bytes)
            batch = 1
        else:
            block = sample(session, distinct_feeds(session, inputs), plan, load_ns, idle_memory_bytes)
            batch = samples.batch_size(session.inputs, inputs)
        block = dataclasses.replace(block, batch=batch, environment=environment(session))
    with files.replacing(options.out) as temporary:
        temporary.write_text(json.dumps(encode(block)))
    return 0


def _profile(options: argparse.Namespace) -> int:
    from runtimes import profilers  # the other commands need not wait for its import

    files.check_keeps(options.out, _read_by(options), "--out")
    inputs = npz.read(options.inputs)
    with Bundle(options.bundle, options.public_key) as bundle:
        artifact = bundle.manifest.artifact
        if not options.any_machine:
            check_machine(bundle.manifest.profile)
        profiler = profilers.profiler(artifact.runtime)
        model = bundle.read(artifact.file.as_posix())
    feeds = list(islice(samples.feeds(artifact.inputs, inputs), profilers.RUNS))
    if not feeds:
        raise UsageError(f"'{options.inputs}' holds no samples; give at least one.")
    found = profiler.profile(model, artifact.settings, feeds, profilers.RUNS)
    with files.replacing(options.out) as temporary:
        temporary.write_text(json.dumps(encode(found)))
    return 0


def _count(options: argparse.Namespace) -> int:
    from runtimes.instructions.count_instructions import (
        count_instructions,  # the other commands need not wait for its import
    )

    files.check_keeps(options.out, _read_by(options), "--out")
    inputs = npz.read(options.inputs)
    with Bundle(options.bundle, options.public_key) as bundle:
        if not options.any_machine:
            check_machine(bundle.manifest.profile)
        counts = count_instructions(bundle, inputs, options.dumps)
    with files.replacing(options.out) as temporary:
        temporary.write_text(json.dumps(counts))
    return 0


def _read_by(options: argparse.Namespace) -> list[Path]:
    given = (options.bundle, options.inputs, options.public_key, getattr(options, "state", None))
    return [file for file in given if file is not None]


def _serve(options: argparse.Namespace) -> int:
    with plugins.optional_import("Serving"):
        from runtimes.serving.http_server import serve
    limits = Limits(
        requests=options.max_requests,
        waiting=options.max_waiting,
        connections=options.max_connections,
        request_bytes=options.max_request_mib << 20,
        json_bytes=options.max_json_mib << 20,
        request_s=options.request_timeout,
        idle_s=options.idle_timeout,
        grace_s=options.grace,
    )
    serve(
        options.bundle,
        options.host,
        options.port,
        limits=limits,
        any_machine=options.any_machine,
        public_key=options.public_key,
        at_least=options.at_least,
        state=options.state,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m runtimes",
        description="Check, run, measure and serve .edge bundles on a device.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, text in (
        ("info", _info, "print the manifest"),
        ("verify", _verify, "check every digest and compare the golden samples' outputs with the recorded ones"),
        ("compile", _compile, "build the TensorRT engine on this device, check it, and write it beside the bundle"),
        ("run", _run, "run the samples of an .npz and write the outputs"),
        ("sample", _sample, "measure raw latency samples; hwbench calls it"),
        ("profile", _profile, "measure the time of each node, and tell where it runs; hwbench calls it"),
        ("count", _count, "count the instructions of inferences; hwbench calls it"),
        ("serve", _serve, "serve the model by the Open Inference Protocol over HTTP, with /metrics for Prometheus"),
    ):
        sub = commands.add_parser(name, help=text, description=text.capitalize() + ".", allow_abbrev=False)
        sub.add_argument("bundle", type=Path, help="the .edge file")
        sub.set_defaults(command=command)
        if name not in ("info", "compile"):
            sub.add_argument(
                "--any-machine", action="store_true", help="open the bundle even if its profile is for another machine"
            )
        if name != "info":
            sub.add_argument(
                "--public-key", type=Path, help="a PEM file; refuse a bundle that the owner of this key did not sign"
            )
        if name in ("verify", "run", "serve"):
            sub.add_argument(
                "--at-least", type=int, default=0, metavar="N", help="refuse a bundle of a lower version, or of none"
            )
        if name in ("run", "serve"):
            sub.add_argument(
                "--state",
                type=Path,
                help="a file that remembers the highest version of each bundle, below which one is refused; it needs "
                "--public-key",
            )
        if name in ("run", "sample", "profile", "count"):
            sub.add_argument(
                "--inputs",
                type=Path,
                required=True,
                help=".npz with one array per input, whose first axis is the samples",
            )
        if name == "serve":
            sub.add_argument(
                "--host", default="127.0.0.1", help="the address to listen on (default: this machine only)"
            )
            sub.add_argument("--port", type=int, default=8000, help="the port to listen on (default: 8000)")
            _add_limits(sub)
        if name == "run":
            sub.add_argument("--outputs", type=Path, required=True, help="the .npz to write")
        if name == "sample":
            sub.add_argument("--plan", default="{}", help="the sampling plan, as JSON")
        if name in ("sample", "profile", "count"):
            sub.add_argument("--out", type=Path, required=True, help="the JSON file to write")
        if name == "count":
            sub.add_argument("--dumps", type=Path, help="the file of callgrind, if this process runs under it")
    machine = commands.add_parser("machine", help="print what latency depends on here", allow_abbrev=False)
    machine.add_argument("--memory-speed", action="store_true", help="measure how fast memory is copied, too")
    machine.set_defaults(command=_machine)
    return parser


def _add_limits(sub: argparse.ArgumentParser) -> None:
    defaults = Limits()
    for option, default, text in (
        (
            "--max-requests",
            defaults.requests,
            "inferences at once; more than there are processors take longer each",
        ),
        ("--max-waiting", defaults.waiting, "requests that may wait for their turn"),
        ("--max-connections", defaults.connections, "connections; one more closes that which is idle longest"),
        ("--max-request-mib", defaults.request_bytes >> 20, "MiB of one request"),
        ("--max-json-mib", defaults.json_bytes >> 20, "MiB of JSON in one request or answer"),
        ("--request-timeout", defaults.request_s, "seconds to wait for a turn, to arrive, to infer and to leave, each"),
        ("--idle-timeout", defaults.idle_s, "seconds that a client may be silent within a request"),
        ("--grace", defaults.grace_s, "seconds that requests have to finish at the end"),
    ):
        sub.add_argument(option, type=type(default), default=default, help=f"{text} (default: {default:g})")


if __name__ == "__main__":
    end_with_parent()
    end_orderly()
    sys.exit(main())
