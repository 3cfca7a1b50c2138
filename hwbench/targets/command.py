"""Any program as a target: it runs a model in its own way, and prints a line of JSON for each inference.

docs/how-to/gate-a-program.md describes the protocol.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hwbench.child_process import tracked
from hwbench.machine.identity import Machine, this_machine
from hwbench.targets.local import limit_s
from runtimes.codec import decode
from runtimes.errors import BackendError, UsageError
from runtimes.files import read_or_empty
from runtimes.sampling.closed_loop import Block, SamplingPlan
from runtimes.sampling.system_conditions import Conditions

_UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
_LONGEST_NS = 86_400 * 1e9  # a day
_MAX_LINE = 1 << 24  # characters; a block of raw samples is one line
_MAX_LINES = 1 << 20


@dataclass(frozen=True)
class CommandTarget:
    """A target whose measuring process is a program of the user's, on this machine or one that it talks to.

    Attributes:
        words: the program and its arguments; {inputs}, {outputs}, {bundle}, {runs} and {seconds} are filled in.
        run_limit_s: the longest that `run` may take before the program is killed.
    """

    words: tuple[str, ...]
    run_limit_s: float = 3600.0

    @property
    def machine(self) -> Machine:
        """This machine."""
        return this_machine()

    @property
    def name(self) -> str:
        """The program's name without its folder."""
        return Path(self.words[0]).name

    @property
    def executable(self) -> Path:
        """The program's file."""
        return Path(shutil.which(self.words[0]) or self.words[0])

    def needs(self, placeholder: str) -> bool:
        """Tell whether a placeholder, such as "inputs", is among the words."""
        return any(f"{{{placeholder}}}" in word for word in self.words)

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Target`: the program writes the outputs of all samples to {outputs} (.npz).

        Raises:
            BackendError: the program failed, or wrote no outputs.
        """
        if not self.needs("inputs") or not self.needs("outputs"):
            raise UsageError(f"'{self.name}' cannot be scored without {{inputs}} and {{outputs}} among its arguments.")
        self._lines(bundle, inputs, outputs, SamplingPlan(min_runs=1, max_runs=1, duration_s=0.0), self.run_limit_s)
        if not outputs.is_file():
            raise BackendError(f"The program '{self.name}' wrote no outputs to {{outputs}}, an .npz file.")

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`.

        Raises:
            BackendError: the program failed, hung, or printed what is no line of the protocol; says which.
        """
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            printed = self._lines(bundle, inputs, Path(folder, "outputs.npz"), plan, limit_s(plan))
        return _block(self.name, printed)

    def _lines(self, bundle: Path, inputs: Path, outputs: Path, plan: SamplingPlan, most_s: float) -> _Printed:
        files = {"bundle": bundle.absolute(), "inputs": inputs.absolute(), "outputs": outputs.absolute()}
        values = {**files, "runs": plan.min_runs, "seconds": f"{plan.duration_s:g}"}
        return _run(self.name, [_filled(word, values) for word in self.words], most_s)


def read_command(text: str) -> CommandTarget:
    """Read a command line as a shell would split it; no shell runs it.

    Raises:
        UsageError: its quotes do not match, it is empty, or there is no such program.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"The command '{text}' cannot be read: {error}.") from None
    if not words:
        raise UsageError("The command is empty; give a program and its arguments, as in './run_model --runs {runs}'.")
    if shutil.which(words[0]) is None:
        raise UsageError(f"There is no program '{words[0]}' that can be run; give its path, and make it executable.")
    return CommandTarget(tuple(words))


@dataclass(frozen=True)
class _Printed:
    """The lines of a program that ended well, and what the system told of its process.

    Attributes:
        first_ns: time from its start to its first line.
        wall_ns, cpu_ns, waited_ns: of the whole process; the last one None if the system does not count it.
    """

    lines: tuple[str, ...]
    first_ns: int
    wall_ns: int
    cpu_ns: int
    waited_ns: int | None


def _filled(word: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", str(value))
    return word


def _run(name: str, words: list[str], most_s: float) -> _Printed:
    """Run a program to its end in a session of its own, so that nothing that it started outlives it."""
    start = time.perf_counter_ns()
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        except OSError as error:
            raise BackendError(f"The program '{words[0]}' cannot be started: {error.strerror or error}.") from None
        hung = threading.Event()

        def stop() -> None:
            hung.set()
            _kill(process.pid)

        timer = threading.Timer(most_s, stop)
        timer.daemon = True
        timer.start()
        lines: list[str] = []
        first = start
        try:
            with tracked(process):
                assert process.stdout is not None
                for line in _read(process.stdout, name):
                    first = time.perf_counter_ns() if not lines else first
                    lines.append(line)
                waited_ns, cpu_ns = _reap(process)
        finally:
            timer.cancel()
            _kill(process.pid)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - (1 << 16)))  # the last lines tell why it ended
        said = errors.read(1 << 16).decode("utf-8", "replace")
    tail = " It said: " + " | ".join(said.strip().splitlines()[-3:]) if said.strip() else ""
    after = f"after {len(lines):,} {'line' if len(lines) == 1 else 'lines'}"
    if hung.is_set():
        raise BackendError(f"The program '{name}' hung: it did not end in {most_s:g} s, and was killed {after}.{tail}")
    if process.returncode < 0:
        raise BackendError(f"The program '{name}' died of signal {-process.returncode} {after}.{tail}")
    if process.returncode > 0:
        raise BackendError(f"The program '{name}' ended with exit code {process.returncode} {after}.{tail}")
    end = time.perf_counter_ns()
    return _Printed(tuple(lines), first - start, end - start, cpu_ns, waited_ns)


def _read(stream: IO[bytes], name: str) -> Iterator[str]:
    for number in range(1, _MAX_LINES + 2):
        line = stream.readline(_MAX_LINE + 1)
        if not line:
            return
        if len(line) > _MAX_LINE or number > _MAX_LINES:
            raise BackendError(f"The program '{name}' prints too much: {_MAX_LINES:,} lines are the most.")
        yield line.decode("utf-8", "replace").strip()


def _reap(process: subprocess.Popen[bytes]) -> tuple[int | None, int]:
    """Wait for a process; return the time that its main thread waited for a processor, and its processor time.

    A process that has ended keeps its counters in /proc until it is reaped.
    """
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    counters = read_or_empty(Path("/proc", str(process.pid), "schedstat")).split()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    waited_ns = int(counters[1]) if len(counters) == 3 else None
    return waited_ns, round((usage.ru_utime + usage.ru_stime) * 1e9)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all of its processes have ended
        os.killpg(group, signal.SIGKILL)


def _block(name: str, printed: _Printed) -> Block:
    """Make a block of a program's lines.

    Raises:
        BackendError: a line is none of the protocol, or there is no inference among them.
    """
    items = [(number, _object(name, number, line)) for number, line in enumerate(printed.lines, 1) if line]
    raw = [item for _, item in items if "samples_ns" in item]
    if raw:
        if len(items) > 1:
            raise BackendError(f"The program '{name}' printed raw samples beside other lines; they are the only line.")
        try:
            return decode(Block, raw[0], f"the output of '{name}'")
        except UsageError as error:
            raise BackendError(str(error)) from None
    times: dict[bool, list[int]] = {False: [], True: []}
    facts: dict[str, float] = {}
    for number, item in items:
        if (fact := next((key for key in ("load_ms", "peak_memory_bytes") if key in item), None)) is not None:
            facts[fact] = _number(name, number, item[fact], fact, 1e18)
        else:
            times[item.get("warmup") is True].append(_time_ns(name, number, item))
    samples = times[False]
    if not samples:
        raise BackendError(
            f"The program '{name}' printed no inference; it has to print a line such as {{\"ms\": 1.25}} for each."
        )
    load_ns = round(facts["load_ms"] * 1e6) if "load_ms" in facts else max(printed.first_ns - samples[0], 0)
    peak = facts.get("peak_memory_bytes")
    return Block(
        samples_ns=tuple(samples),
        warmup_ns=tuple(times[True]),
        settled=True,  # when it is warm is the program's own decision
        load_ns=load_ns,
        cpu_ns=printed.cpu_ns,
        preemptions=0,
        idle_memory_bytes=None,
        peak_memory_bytes=None if peak is None else int(peak),
        conditions=Conditions(printed.wall_ns, waited_ns=printed.waited_ns, unmetered="a program has no energy meter"),
    )


def _object(name: str, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BackendError(
            f"Line {number} of the program '{name}' is no JSON object: {line[:60]!r}; print a line such as "
            '{"ms": 1.25} for each inference, and all else to stderr.'
        )
    return found


def _time_ns(name: str, number: int, item: Mapping[str, Any]) -> int:
    units = [unit for unit in _UNITS if unit in item]
    if len(units) != 1:
        raise BackendError(
            f"Line {number} of the program '{name}' has {_listed(units)}; give one time, as ns, us, ms or s."
        )
    unit = units[0]
    time_in_unit = _number(name, number, item[unit], unit, _LONGEST_NS / _UNITS[unit])
    return max(round(time_in_unit * _UNITS[unit]), 1)


def _number(name: str, number: int, value: object, key: str, most: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value <= most:  # type: ignore[operator]
        raise BackendError(
            f"Line {number} of the program '{name}' has {key} = {str(value)[:40]}; expected more than 0."
        )
    return float(value)  # type: ignore[arg-type]


def _listed(units: Iterable[str]) -> str:
    return " and ".join(units) or "no time"
