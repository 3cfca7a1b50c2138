"""Environments on a board: which of its interpreters has a runtime, made by pip where none has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from hwbench.boards import calls
from hwbench.boards.connection import Connection
from hwbench.emulation.python_wheels import pip_fault
from runtimes.errors import UnsupportedError, UsageError

MODULES = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tensorrt-rtx": "tensorrt_rtx",
}
"""The module that a board's Python has to have for each runtime."""

_INSTALLABLE = ("onnxruntime", "openvino")  # by a plain pip install; TensorRT comes with the board's system
_LIMIT_S = 1800.0
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*")  # no path, which pip would install from


def describe(connection: Connection) -> dict[str, Any]:
    """Describe a board's Python; see `agent`.

    Raises:
        UnsupportedError: there is none, or one that runs no bundles.
        BoardLostError: the connection was lost.
    """
    found = calls.call(connection, "describe", modules=["numpy", *MODULES.values()])
    if found["bits"] < 64:
        raise UnsupportedError(
            f"{connection.address} runs a {found['bits']}-bit Python, for which there are no runtimes; install a "
            "64-bit system there."
        )
    return found


def can_run(found: Mapping[str, Any], runtime: str) -> bool:
    """Tell whether the Python that was described has a runtime, and NumPy."""
    return bool(found["modules"]["numpy"] and (runtime not in MODULES or found["modules"][MODULES[runtime]]))


def can_get(found: Mapping[str, Any], runtime: str) -> bool:
    """Tell whether a board that lacks a runtime can be given an environment with it."""
    return bool(found["can_install"]) and runtime in _INSTALLABLE


def interpreter(connection: Connection, found: Mapping[str, Any], runtime: str, version: str | None) -> str:
    """Find the interpreter of a board that has a runtime, or make an environment with it, once.

    Args:
        connection: the connection.
        found: its description.
        runtime: the runtime.
        version: the version to install where it is missing; this machine's, if None.

    Raises:
        UnsupportedError: the runtime is missing, and cannot be installed there by pip.
        UsageError: pip failed; the message has its reason.
    """
    if can_run(found, runtime):
        return connection.address.python
    where = f"{connection.address} has no {runtime if found['modules']['numpy'] else 'NumPy'}"
    if runtime in MODULES and runtime not in _INSTALLABLE:
        raise UnsupportedError(f"{where} in its Python {found['python']}, and pip cannot bring it; install it there.")
    if not found["can_install"]:
        raise UnsupportedError(
            f"{where}, and its Python {found['python']} cannot make an environment; install Debian's python3-venv "
            "there."
        )
    if version is not None and not _VERSION.fullmatch(version):
        raise UsageError(f"The bundle's version of {runtime}, {version[:40]!r}, is none.")
    packages = {} if runtime not in MODULES else {runtime: version or _version_here(runtime)}
    done = calls.call(connection, "install", files={}, packages=packages, limit_s=_LIMIT_S)
    if done["returncode"] != 0:
        what = ", ".join(f"{name} {number}" for name, number in packages.items()) or "NumPy"
        reason = "it took too long" if done["hung"] else pip_fault(done["stderr"])
        raise UsageError(f"pip on {connection.address} cannot install {what}: {reason}")
    return str(done["python"])


def _version_here(runtime: str) -> str:
    try:
        return metadata.version(runtime)
    except metadata.PackageNotFoundError:
        raise UsageError(f"The bundle does not name its version of {runtime}, and it is not installed here.") from None
