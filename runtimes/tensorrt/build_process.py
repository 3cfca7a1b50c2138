"""The build of an engine in a separate process: a crash of the builder becomes an error, and its memory is freed.

For example, tensorrt-rtx 1.7.1 crashes on a text recognizer in bf16 (PP-OCR).
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
from runtimes.processes.parent_death import child_environment, end_with_parent
from runtimes.tensorrt.build_engine import Built
from runtimes.tensorrt.build_progress import OnProgress
from runtimes.tensorrt.compile_bundle import build_with_known_timings
from runtimes.tensorrt.engine_file import EngineKey

_GRACE_S = 30.0  # a builder stops only between two steps, which may take seconds


@dataclass(frozen=True)
class Notes:
    """The layers of an engine and TensorRT's warnings, which are stored with its bytes."""

    layers: tuple[EngineLayer, ...]
    warnings: tuple[str, ...]


def build_in_child(key: EngineKey, onnx: bytes, on_progress: OnProgress) -> Built:
    """Build an engine in a child process; see `build_with_known_timings`.

    Args:
        key: the plan, and the environment that builds.
        onnx: the model's file.
        on_progress: called with the progress of the build.

    Raises:
        BackendError: TensorRT refuses the model, or its process died; its own text is passed on.
        KeyboardInterrupt: Ctrl-C; the build was told to stop and has stopped.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as name:
        folder = Path(name)
        (folder / "key.json").write_text(json.dumps(encode(key)))
        (folder / "model.onnx").write_bytes(onnx)
        _follow([sys.executable, "-m", "runtimes.tensorrt.build_process", name], folder, on_progress)
        notes = decode(Notes, json.loads((folder / "notes.json").read_text()), "notes")
        return Built((folder / "model.engine").read_bytes(), notes.layers, notes.warnings)


def main(folder: Path) -> int:
    """Build the model in a folder and write the engine into the folder; the child process runs this."""
    key = decode(EngineKey, json.loads((folder / "key.json").read_text()), "key")
    assert key.plan is not None

    def show(done: float, phase: str) -> None:
        print(f"{done:.3f} {phase}", flush=True)

    try:
        trt = engine_backend(key.plan.runtime).trt
        built = build_with_known_timings(trt, key.plan, (folder / "model.onnx").read_bytes(), key, show)
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
        # `python -m` imports from the current folder first, which must not be the user's.
        child = subprocess.Popen(
            command, cwd=folder, env=child_environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        )
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
    """Stop the build as Ctrl-C does, and kill it if it does not stop."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(_GRACE_S)
    except BaseException:
        child.kill()
        child.wait()


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1])))
