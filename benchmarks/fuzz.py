"""Throw damaged bundles, arrays, requests, programs, tables and reports at what reads them; count what came of it.

    python -m benchmarks.fuzz [SECONDS] [SEED] | tee benchmarks/results/fuzz.txt

An input may be read, or refused with an EdgewrightError. Anything else is a finding and ends the run: another
exception, a process, connection or unpickled class (by Python's audit hooks), a file written outside, more memory than
64 MiB beyond what is in use (an address-space limit makes that a MemoryError), ten seconds without an answer (an
alarm). Mutations are of real files: bits flipped, bytes overwritten by
random ones and by limits of integers, pieces cut, repeated, or taken from elsewhere; where digests would end the
reading early, the manifest is sealed again. The seed is printed, and a finding's input is left in the current folder.
"""

from __future__ import annotations

import hashlib
import json
import platform
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np

from hwbench.machine import device_profiles
from hwbench.machine.identity import this_machine
from runtimes import npz
from runtimes.bundles import archive
from runtimes.bundles.bundle import MANIFEST, Bundle
from runtimes.bundles.manifest import Artifact, RuntimeSettings
from runtimes.codec import decode, encode
from runtimes.errors import EdgewrightError
from runtimes.profile import HardwareProfile
from runtimes.serving import open_inference_protocol
from runtimes.tensors import TensorSpec
from runtimes.verification import golden
from toolchain.packaging.pack import Contents, pack
from toolchain.recipes.recipe import Recipe

_LIMITS = [b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xff" * 8, b"\0", b"\xff", b"PK\x05\x06"]
_WORDS = [b"-1", b"1e999", b"NaN", b"null", b"[]", b"{}", b'"../x"', b"99999999999999999999", b'"\\ud800"', b"true"]
_HEADROOM_BYTES = 64 << 20
_EVENTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "socket.connect",
    "pickle.find_class",
)
Target = Callable[[bytes], object]


class _Finding(Exception):  # noqa: N818  # what the fuzzer is after
    pass


def main(seconds: float, seed: int) -> None:
    """Fuzz every reader for its share of the time."""
    rng = random.Random(seed)
    print(f"Python {platform.python_version()}, numpy {np.__version__}, seed {seed}\n")
    print(f"{'reader':34}{'inputs':>10}{'read':>10}{'refused':>10}")
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work")
        work.mkdir()
        targets = _targets(work)
        events: list[str] = []
        sys.addaudithook(lambda event, _: events.append(event) if event in _EVENTS else None)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _HEADROOM_BYTES, resource.RLIM_INFINITY))
        total = 0
        for name, (target, seeds) in targets.items():
            counts = _fuzz(name, target, seeds, seconds / len(targets), rng)
            if events:
                raise _Finding(f"{name}: {events}")
            total += sum(counts.values())
            print(f"{name:34}{sum(counts.values()):>10,}{counts['read']:>10,}{counts['refused']:>10,}", flush=True)
        outside = [path.name for path in Path(folder).iterdir() if path != work]
        if outside:
            raise _Finding(f"written outside: {outside}")
    print(
        f"\n{total:,} inputs; no crash, no hang, nothing written outside, no memory beyond the input's own and 64 MiB"
    )


def _fuzz(name: str, target: Target, seeds: list[bytes], seconds: float, rng: random.Random) -> Counter[str]:
    counts: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = _mutated(rng, seeds)
        signal.setitimer(signal.ITIMER_REAL, 10)  # generous: this machine may be busy with others
        try:
            target(data)
            counts["read"] += 1
        except (EdgewrightError, _Refused):
            counts["refused"] += 1
        except BaseException as error:
            Path(f"finding-{name.split()[0]}.bin").write_bytes(data)
            raise _Finding(f"{name}: {type(error).__name__}: {error}") from error
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return counts


class _Refused(Exception):  # noqa: N818  # what `npy` says with a ValueError, which elsewhere would be a finding
    pass


def _targets(work: Path) -> dict[str, tuple[Target, list[bytes]]]:
    return {name: target for group in target_groups(work) for name, target in group().items()}


def target_groups(work: Path) -> tuple[Callable[[], dict[str, tuple[Target, list[bytes]]]], ...]:
    """List functions that make the readers and their seeds, the quickest first."""
    return (lambda: _bundle_targets(work)), _program_targets, (lambda: _file_targets(work))


def _program_targets() -> dict[str, tuple[Target, list[bytes]]]:
    from benchmarks import fuzz_programs  # with torch, which takes seconds

    return fuzz_programs.targets()


def _file_targets(work: Path) -> dict[str, tuple[Target, list[bytes]]]:
    from benchmarks import fuzz_files

    return fuzz_files.targets(work)


def _bundle_targets(work: Path) -> dict[str, tuple[Target, list[bytes]]]:
    bundle, profile = _bundle(work), device_profiles.detect(this_machine())
    members = _members(bundle)
    scratch = work / "x"
    x, y = (TensorSpec("x", "float32", ("N", 2)),), (TensorSpec("y", "float32", (4,)),)
    arrays_in = {"a": np.arange(20), "b": np.eye(3, dtype=np.float32), "c": np.array(["text", "more"])}
    np.savez(work / "plain.npz", **arrays_in)
    np.savez_compressed(work / "packed.npz", **arrays_in)
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2], [3, 4.5]]}], "id": "1"}
    binary = json.dumps(
        {"inputs": [{"name": "x", "datatype": "INT16", "shape": [2], "parameters": {"binary_data_size": 4}}]}
    ).encode()

    def read_bundle(data: bytes) -> None:
        scratch.write_bytes(data)
        with Bundle(scratch) as opened:
            opened.check()
        if data != bundle.read_bytes():
            raise _Finding("a bundle that was changed is taken for good")

    def read_manifest(data: bytes) -> None:
        with scratch.open("wb") as stream:
            archive.write(stream, {MANIFEST: data, **members})
        with Bundle(scratch) as opened:
            golden.replay(opened, any_machine=True)

    def read_sealed(data: bytes) -> None:
        _seal(manifest, members, data, scratch)
        with Bundle(scratch) as opened:
            golden.replay(opened, any_machine=True)

    def read_npy(data: bytes) -> None:
        try:
            npz.parse_npy(data)
        except ValueError as error:
            raise _Refused(str(error)) from None

    def read_npz(data: bytes) -> None:
        scratch.write_bytes(data)
        npz.read(scratch)

    def read_profile(data: bytes) -> None:
        try:
            text = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _Refused(str(error)) from None
        decode(HardwareProfile, text, "x")

    with Bundle(bundle) as opened:
        manifest = opened.manifest_bytes
    npys = [members[name] for name in members if name.endswith(".npy")]
    return {
        "zip: a bundle's bytes": (read_bundle, [bundle.read_bytes()]),
        "manifest, replayed": (read_manifest, [manifest]),
        "golden array, sealed and replayed": (read_sealed, npys),
        "npy": (read_npy, npys),
        "npz": (read_npz, [(work / name).read_bytes() for name in ("plain.npz", "packed.npz")]),
        "profile": (read_profile, [json.dumps(encode(profile)).encode()]),
        "request, JSON": (
            lambda data: open_inference_protocol.parse(data, None, x, y),
            [
                json.dumps(request).encode(),
                json.dumps({"inputs": [{**request["inputs"][0], "shape": [10**4000]}]}).encode(),
            ],
        ),
        "request, binary": (
            lambda data: open_inference_protocol.parse(data, len(binary), x, y),
            [binary + bytes(4)],
        ),
    }


def _bundle(work: Path) -> Path:
    """A small bundle of the null runtime, so that replaying runs our code and nothing else's."""
    file = work / "model.bin"
    file.write_bytes(b"model" * 20)
    spec = TensorSpec("x", "float32", ("N", 3))
    versions = {"null": "1"}
    artifact = Artifact(file, "null", "fp32", (spec,), (spec,), RuntimeSettings(), "0" * 64, 100, versions)
    golden_arrays = {"x": np.zeros((2, 3), np.float32)}
    path = work / "small.edge"
    profile = device_profiles.detect(this_machine())
    pack(Contents("m", profile, artifact, Recipe("fp32"), golden_arrays, golden_arrays, "{}", golden_arrays), path)
    return path


def _members(path: Path) -> dict[str, bytes]:
    with Bundle(path) as bundle:
        return {name: bundle.read(name) for name in bundle.manifest.members}


def _seal(manifest_bytes: bytes, members: dict[str, bytes], data: bytes, path: Path) -> None:
    """A bundle whose first golden array is `data`, its digest right."""
    manifest = json.loads(manifest_bytes)
    name = "golden/input-0.npy"
    manifest["members"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    with path.open("wb") as stream:
        archive.write(stream, {MANIFEST: json.dumps(manifest).encode(), **members, name: data})


def _mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        if rng.random() < 0.3:  # directories and headers are at the ends
            at = rng.choice((min(len(data), at % 64), max(0, len(data) - 1 - at % 200)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 2:
            limit = rng.choice(_LIMITS)
            data[at : at + len(limit)] = limit
        elif kind == 3:
            del data[at : at + rng.choice((1, 2, 8, 64, 4096))]
        elif kind == 4:
            data[at:at] = data[at : at + rng.choice((1, 8, 64, 512))] * rng.choice((1, 2, 30))
        elif kind == 5:
            start = rng.randrange(len(data) + 1)
            data[at:at] = data[start : start + rng.choice((4, 30, 46, 200))]
        else:
            data[at : at + rng.choice((0, 1, 4))] = rng.choice(_WORDS)
    return bytes(data)


def _too_long(_: int, __: FrameType | None) -> None:
    raise _Finding("no answer in time")


if __name__ == "__main__":
    main(float((sys.argv[1:] or [240])[0]), int((sys.argv[2:] or [time.time()])[0]))
