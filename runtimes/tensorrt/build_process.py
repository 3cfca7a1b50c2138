"""Build an engine in a process of its own, so that a crash of the builder is an error, and its memory is given back.

tensorrt-rtx 1.7.1 crashes on a bf16 text recognizer (PP-OCR), where others get a sentence.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runtimes.backends import engine_backend
from runtimes.bundles.build_plan import EngineLayer
from runtimes.codec import decode, encode
from runtimes.errors import BackendError, EdgewrightError
from runtimes.tensorrt.build_engine import Built
from runtimes.tensorrt.build_progress import OnProgress
from runtimes.tensorrt.compile_bundle import build_here
from runtimes.tensorrt.engine_file import EngineKey

_GRACE_S = 30.0


@dataclass(frozen=True)
class Notes:
    """What is said of an engine beside its bytes."""

    layers: tuple[EngineLayer, ...]
    warnings: tuple[str, ...]


def build_apart(key: EngineKey, onnx: bytes, on_progress: OnProgress) -> Built:
    """`build_here`, in a child process; `key` holds the plan, and which TensorRT.

    Raises:
        BackendError: TensorRT refuses the model, or its process died; its own text is passed on.
        KeyboardInterrupt: Ctrl-C; the build was told to stop, and has.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        folder = Path(name)
        (folder / "key.json").write_text(json.dumps(encode(key)))
        (folder / "model.onnx").write_bytes(onnx)
        _follow([sys.executable, "-m", "runtimes.tensorrt.build_process", name], folder, on_progress)
        notes = decode(Notes, json.loads((folder / "notes.json").read_text()), "notes")
        return Built((folder / "model.engine").read_bytes(), notes.layers, notes.warnings)


def main(folder: Path) -> int:
    """The child: build what lies in a folder, and write the engine beside it."""
    key = decode(EngineKey, json.loads((folder / "key.json").read_text()), "key")
    assert key.plan is not None

    def show(done: float, phase: str) -> None:
        print(f"{done:.3f} {phase}", flush=True)

    try:
        trt = engine_backend(key.plan.runtime).trt
        built = build_here(trt, key.plan, (folder / "model.onnx").read_bytes(), key, show)
    except EdgewrightError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    (folder / "model.engine").write_bytes(built.engine)
    (folder / "notes.json").write_text(json.dumps(encode(Notes(built.layers, built.warnings))))
    return 0


def _follow(command: list[str], folder: Path, on_progress: OnProgress) -> None:
    with (folder / "stderr").open("w+", encoding="utf-8", errors="replace") as errors:
        # In the folder: `python -m` would import what lies in the user's.
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert child.stdout is not None
        try:
            for line in child.stdout:
                done, _, phase = line.partition(" ")
                on_progress(float(done), phase.strip())
            code = child.wait()
        except BaseException:
            _stop(child)
            raise
        finally:
            child.stdout.close()
        errors.seek(0)
        said = " ".join(errors.read().split())[-2000:]
    if code < 0:
        raise BackendError(f"The process that builds the engine died of signal {-code}. {said}".strip())
    if code == 130:
        raise KeyboardInterrupt
    if code != 0:
        raise BackendError(said or f"The process that builds the engine ended with exit code {code}.")


def _stop(child: subprocess.Popen[str]) -> None:
    """Let the build end as Ctrl-C ends it; kill it if it does not."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_GRACE_S)
    except BaseException:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
