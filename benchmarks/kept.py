"""Results of the peers benchmark in a JSON file, so that a long run can be made in parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contender import Contender
from runtimes import codec

Measured = dict[tuple[str, int], list[Contender]]


def read(file: Path, where: str) -> Measured:
    """Read what earlier parts measured, by model and threads; nothing, if there is no such file.

    Args:
        file: the JSON file.
        where: the machine, the packages and the rounds that all parts have to share.

    Raises:
        SystemExit: an earlier part ran elsewhere or otherwise, so it cannot stand beside what would be measured now.
        UsageError: the file is not one of ours.
    """
    if not file.exists():
        return {}
    kept = json.loads(file.read_text())
    if kept["where"] != where:
        raise SystemExit(f"'{file}' is of '{kept['where']}', this is '{where}'; give another file to --keep.")
    return {
        (pair["model"], pair["threads"]): [codec.decode(Contender, row, str(file)) for row in pair["contenders"]]
        for pair in kept["pairs"]
    }


def write(file: Path, where: str, measured: Mapping[tuple[str, int], list[Contender]]) -> None:
    """Store all parts; a run that is stopped meanwhile leaves the file as it was."""
    pairs = [
        {"model": name, "threads": threads, "contenders": [codec.encode(contender) for contender in contenders]}
        for (name, threads), contenders in measured.items()
    ]
    beside = file.with_name(f".{file.name}.part")
    beside.write_text(json.dumps({"where": where, "pairs": pairs}, indent=1))
    beside.replace(file)
