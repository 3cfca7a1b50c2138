"""Facts about this machine that are kept between runs, such as the time of its probe without interference."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from hwbench.machine.identity import Machine
from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.files import replacing

KEPT_S = 30 * 86_400.0
"""How long anything is remembered: firmware, kernels and clocks change; what was true a month ago may not be."""


@dataclass(frozen=True)
class Remembered:
    """Facts from earlier runs.

    Attributes:
        probe_ns: the probe's time in the quietest run.
        probe_at_s: time of that run, in seconds since 1970.
    """

    probe_ns: float | None = None
    probe_at_s: float = 0.0


def recall(machine: Machine) -> Remembered:
    """Read the facts about a machine; empty if there are none, or they cannot be read."""
    try:
        remembered = decode(Remembered, json.loads(file_of(machine, "machine").read_text("utf-8")), "memory")
    except (OSError, ValueError, UsageError):
        return Remembered()
    if time.time() - remembered.probe_at_s > KEPT_S:
        return dataclasses.replace(remembered, probe_ns=None)
    return remembered


def note_probe(machine: Machine, probe_ns: float) -> None:
    """Keep the time of a probe that is faster than the one known."""
    known = recall(machine)
    if known.probe_ns is None or probe_ns < known.probe_ns:
        keep(file_of(machine, "machine"), Remembered(probe_ns, time.time()))


def keep(file: Path, remembered: object) -> None:
    """Write what is to be remembered; a folder that cannot be written costs no more than that."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as beside:
            beside.write_text(json.dumps(encode(remembered)), encoding="utf-8")
    except (OSError, UsageError):
        return


def file_of(machine: Machine, kind: str, of: object = None) -> Path:
    """Where one kind of thing is remembered: one file per machine, by what would make its latency another's.

    Args:
        machine: whose it is.
        kind: the start of the file's name.
        of: what else it depends on, as JSON can hold it.
    """
    told = [machine.arch, machine.cpu, machine.isa, machine.cores, machine.governor, machine.hypervisor, machine.board]
    digest = hashlib.sha256(json.dumps([told, of] if of is not None else told).encode()).hexdigest()[:16]
    folder = os.environ.get("EDGEWRIGHT_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "edgewright")
    return Path(folder).expanduser() / f"{kind}-{digest}.json"
