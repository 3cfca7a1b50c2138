"""What an earlier build measured or made, kept under keys that say everything it depends on.

A bundle's bytes hold the model, the recipe, the settings and the versions of the tools that made it, so that a
measurement is known by the bundle, the samples, the plan and the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

import runtimes
from hwbench.machine.identity import Machine
from hwbench.targets import Target
from runtimes.codec import decode, encode
from runtimes.errors import UsageError
from runtimes.files import replacing
from runtimes.sampling.closed_loop import Block, SamplingPlan
from toolchain.output_folder import cache_folder

_LIMIT_BYTES = 2_000_000_000
_LARGEST_BYTES = 200_000_000  # of one entry


def default_folder() -> Path:
    """Where the cache is if nothing else is said."""
    return cache_folder("builds")


@dataclass(frozen=True)
class Cache:
    """Files by the digest of what they depend on, our own code included; the oldest go when there are too many.

    Attributes:
        fresh: find nothing, and put what is made now in its place.
    """

    folder: Path
    fresh: bool = False

    def get(self, *key: object) -> Path | None:
        """The file that was put under a key; None if there is none."""
        path = self._path(key)
        if self.fresh or not os.access(path, os.R_OK):
            return None
        with contextlib.suppress(OSError):  # another user's; or another build has just trimmed it away
            os.utime(path)  # what is used stays
        return path if path.is_file() else None

    def put(self, data: bytes, *key: object) -> None:
        """Keep bytes under a key, unless they are very many."""
        if len(data) > _LARGEST_BYTES:
            return
        path = self._path(key)
        with contextlib.suppress(OSError, UsageError):  # a cache that cannot be written costs time, and no results
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as beside:
                beside.write_bytes(data)

    def trim(self) -> None:
        """Remove what was not used for longest, until the rest fits the limit."""
        found = [(stat, path) for path in self.folder.rglob("*") if (stat := _stat(path)) is not None]
        total = sum(stat.st_size for stat, _ in found)
        for stat, path in sorted(found, key=lambda item: item[0].st_mtime):
            if total <= _LIMIT_BYTES:
                return
            with contextlib.suppress(OSError):  # another build was first, or it is another user's
                path.unlink()
            total -= stat.st_size

    def _path(self, key: object) -> Path:
        text = json.dumps([_own_code(), encode(key)], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / digest[:2] / digest[2:]


def _stat(path: Path) -> os.stat_result | None:
    """A file's; None of a folder, and of what another build has just removed."""
    with contextlib.suppress(OSError):
        found = path.stat()
        return found if S_ISREG(found.st_mode) else None
    return None


@lru_cache(maxsize=1)
def _own_code() -> str:
    """A digest of edgewright itself: what an older one made is not what this one would make."""
    root = Path(runtimes.__file__).parents[1]
    digest = hashlib.sha256()
    for package in ("runtimes", "hwbench", "toolchain"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


@dataclass
class CachedTarget:
    """A target that answers from the cache what it has been asked before, in this order, on this machine.

    Attributes:
        reused: how many measurements came from the cache.
    """

    target: Target
    cache: Cache
    machine: Machine
    reused: int = 0
    _asked: Counter[str] = field(default_factory=Counter)
    _digests: dict[Path, str] = field(default_factory=dict)

    def run(self, bundle: Path, inputs: Path, outputs: Path) -> None:
        """See `Target`."""
        key = ("run", *self._where(bundle, inputs))
        known = self.cache.get(*key)
        if known is not None:
            with contextlib.suppress(FileNotFoundError):  # trimmed away since
                shutil.copyfile(known, outputs)
                return
        self.target.run(bundle, inputs, outputs)
        if outputs.stat().st_size <= _LARGEST_BYTES:
            self.cache.put(outputs.read_bytes(), *key)

    def sample(self, bundle: Path, inputs: Path, plan: SamplingPlan) -> Block:
        """See `Target`. Blocks of one bundle and plan are told apart by their number."""
        base = ("sample", *self._where(bundle, inputs), encode(plan))
        asked = json.dumps(base, sort_keys=True)
        self._asked[asked] += 1
        key = (*base, self._asked[asked])
        known = self.cache.get(*key)
        if known is not None:
            with contextlib.suppress(ValueError, UsageError, FileNotFoundError):  # what is damaged is measured again
                block = decode(Block, json.loads(known.read_text()), "a cached block")
                self.reused += 1
                return block
        block = self.target.sample(bundle, inputs, plan)
        self.cache.put(json.dumps(encode(block)).encode(), *key)
        return block

    def _where(self, *files: Path) -> tuple[object, ...]:
        return (*(self._digest(file) for file in files), encode(self.machine), sys.version)

    def _digest(self, file: Path) -> str:
        if file not in self._digests:
            self._digests[file] = hashlib.sha256(file.read_bytes()).hexdigest()
        return self._digests[file]
