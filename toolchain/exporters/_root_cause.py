"""The reason of a failure, in one line."""

from __future__ import annotations


def root_cause(error: BaseException) -> str:
    """Describe the innermost exception in one line without a full stop, since torch.onnx wraps errors several times."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    line = lines[-1 if "TorchScript interpreter" in lines[0] else 0]  # its reason comes last, after a traceback
    kind = f"{type(error).__name__}: "  # which a script's reason has already
    return kind + line.removeprefix(kind)[:300].rstrip(".")
