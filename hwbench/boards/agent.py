"""Agent: the program that a board's Python runs at the other end of a connection, for one call.

The host sends this text, and then one line of JSON that holds the call; so the agent is never older than the host. It
takes the standard library alone. It answers in lines of JSON: {"send": [names]} asks for the bytes of files that are
not in the board's cache, {"waiting": true} tells that another call runs, and {"done": ...} or {"failed": ...} ends the
call. The host writes a byte now and then as long as it lives. Without it, and when the connection ends, whatever the
agent started is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

MARK = b"edgewright-agent\n"  # login scripts may print something before it
GONE = "The host is gone, or silent."
_CHUNK = 1 << 20
_CACHE_BYTES = 2_000_000_000  # of files that are kept for later calls
_FULL_BYTES = 100_000  # of a disk on which a process fails for lack of space
_MARGIN_BYTES = 50_000_000  # of the disk, which a process that measures may need


def main() -> None:
    """Take one call, and answer it."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(GONE))  # so that `finally` kills and cleans up
    sys.stdout.buffer.write(b"\n" + MARK)
    sys.stdout.buffer.flush()
    call = json.loads(sys.stdin.buffer.readline())
    try:
        _COMMANDS[call["command"]](call)
    except OSError as error:
        _say({"failed": error.strerror or str(error), "errno": error.errno, "file": str(error.filename or _folder())})


def _describe(call: Mapping[str, Any]) -> None:
    """Tell the version of the board's Python, which of some modules it has, and the folder of the cache."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    _answer(
        python=platform.python_version(),
        bits=8 * struct.calcsize("P"),
        arch=platform.machine(),
        modules={name: importlib.util.find_spec(name) is not None for name in call["modules"]},
        can_install=all(importlib.util.find_spec(name) is not None for name in ("venv", "ensurepip")),
        folder=str(_folder()),
        boot=boot.read_text().strip() if boot.exists() else "",
    )


def _install(call: Mapping[str, Any]) -> None:
    """Make an environment with some packages, once; answer with its interpreter, or with what pip said."""
    _watch(call["silence_s"])
    packages = ["numpy", *(f"{name}=={number}" for name, number in sorted(call["packages"].items()))]
    name = hashlib.sha256(" ".join([sys.version, sys.executable, *packages]).encode()).hexdigest()[:16]
    place = _folder() / "environments" / name
    python, made, ready = place / "bin" / "python", place / "made", place / "ready"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    with _locked("environments.lock"):
        for command, done in (([sys.executable, "-m", "venv", str(place)], made), ([*pip, *packages], ready)):
            if done.exists():
                continue
            if done is made:
                shutil.rmtree(place, ignore_errors=True)  # what a killed call left half made
                place.mkdir(parents=True)
            ended = _run_process(command, place, {}, call["limit_s"])
            if ended["returncode"] != 0:
                _answer(**ended)
                return
            done.touch()
    _answer(returncode=0, python=str(python))


def _run(call: Mapping[str, Any]) -> None:
    """Run `python -m runtimes` on files of the cache; answer with how it ended, and the files that it wrote."""
    files = _received(call["files"])
    _watch(call["silence_s"])
    code = _unpacked(files["code"])
    with _locked("measuring.lock"), _work_folder() as work:
        places = {f"file:{name}": path for name, path in files.items()}
        places |= {f"work:{name}": work / name for name in call["outputs"]}
        arguments = [str(places.get(argument, argument)) for argument in call["arguments"]]
        path = ":".join(filter(None, (str(code), os.environ.get("PYTHONPATH"))))
        variables = {"PYTHONPATH": path, "TMPDIR": str(work), "EDGEWRIGHT_PARENT": str(os.getpid())}
        command = [call["interpreter"] or sys.executable, "-m", "runtimes", *arguments]
        ended = _run_process(command, work, variables, call["limit_s"])
        written = {name: work / name for name in call["outputs"] if (work / name).exists()}
        # An engine lies beside its bundle, where later calls find it, too.
        besides = {name: files[of].with_name(name) for name, of in call["besides"].items()}
        written |= {name: path for name, path in besides.items() if path.exists()}
        _answer(**ended, outputs={name: path.stat().st_size for name, path in written.items()})
        for path in written.values():
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, _CHUNK)
        sys.stdout.buffer.flush()


_COMMANDS: dict[str, Callable[[Mapping[str, Any]], None]] = {"describe": _describe, "install": _install, "run": _run}


def _watch(silence_s: float) -> None:
    """Have this process end once the host is gone, or silent for too long; nothing else comes on stdin from now on."""

    def wait() -> None:
        while select.select([0], [], [], silence_s)[0] and os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _run_process(command: list[str], folder: Path, variables: Mapping[str, str], limit_s: float) -> dict[str, Any]:
    with tempfile.TemporaryFile(dir=folder) as out, tempfile.TemporaryFile(dir=folder) as err:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        hung = False
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and whatever it started
            process.wait()
        texts = []
        for file in (out, err):
            file.seek(max(0, file.seek(0, os.SEEK_END) - _CHUNK))
            texts.append(file.read().decode("utf-8", "replace"))
    if process.returncode != 0 and shutil.disk_usage(folder).free < _FULL_BYTES:  # it may not have been able to say so
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.parent))
    return {"returncode": process.returncode, "stdout": texts[0], "stderr": texts[1], "hung": hung}


def _folder() -> Path:
    """Name the folder that the board's cache is in."""
    given = os.environ.get("EDGEWRIGHT_CACHE")
    base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "edgewright")
    return base.expanduser() / "board"


def _received(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Path]:
    """Find files in the cache by their digests, and receive those that are not there."""
    places = {name: _folder() / "files" / file["sha256"] / file["name"] for name, file in files.items()}
    missing = [name for name, place in places.items() if not place.exists()]
    _make_room(sum(files[name]["bytes"] for name in missing), {place.parent.name for place in places.values()})
    _say({"send": missing})
    for name in missing:
        place, digest = places[name], hashlib.sha256()
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                for part in _parts(files[name]["bytes"]):
                    digest.update(part)
                    file.write(part)
            if digest.hexdigest() != files[name]["sha256"]:
                raise OSError(errno.EIO, "a file was damaged on its way", str(place))
            temporary.rename(place)
        finally:
            temporary.unlink(missing_ok=True)
    for place in places.values():
        os.utime(place.parent)  # it was used
    return places


def _parts(size: int) -> Iterator[bytes]:
    while size:
        part = sys.stdin.buffer.read(min(size, _CHUNK))
        if not part:
            sys.exit(GONE)
        size -= len(part)
        yield part


def _make_room(needed: int, used: set[str]) -> None:
    """Remove the files that were not used for longest, as long as they are too many or the disk is too full."""
    folder = _folder() / "files"
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {
        entry: sum(file.stat().st_size for file in entry.iterdir())
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime)
    }
    total = needed + sum(sizes.values())
    for entry, size in sizes.items():
        if total <= _CACHE_BYTES and shutil.disk_usage(folder).free >= needed + _MARGIN_BYTES:
            return
        if entry.name not in used:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size


def _unpacked(archive: Path) -> Path:
    """Unpack our code, once."""
    place = _folder() / "code" / archive.parent.name
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(Path(folder, "code"))
            with contextlib.suppress(OSError):  # another call was first
                Path(folder, "code").rename(place)
    return place


@contextlib.contextmanager
def _work_folder() -> Iterator[Path]:
    """Make a folder for one run, and remove those of runs that were killed, which the lock shows to be over."""
    place = _folder() / "work"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold a lock of the board, since two that measure at once would disturb each other."""
    _folder().mkdir(parents=True, exist_ok=True)
    with (_folder() / name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say({"waiting": True})
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _answer(**done: object) -> None:
    _say({"done": done})


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
