"""Plug-ins: the modules of a folder are its plug-ins, and their names are the names that users type."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from runtimes.errors import NotInstalledError, UsageError

# The optional packages that our modules import, and the extra of edgewright that installs each.
_EXTRAS = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt-rtx",
    "pycuda": "pycuda",
    "cuda": "tensorrt",
    "cryptography": "sign",
    "model_signing": "model-signing",
    "cyclonedx": "sbom",
    "packageurl": "sbom",
    "starlette": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
    "torch": "toolchain",
    "keras": "keras",
    "onnx": "toolchain",
    "onnx_ir": "toolchain",
    "onnxconverter_common": "toolchain",
    "scipy": "hwbench",
    "sklearn": "metrics",
    "matplotlib": "toolchain",
    "sqlalchemy": "history",
    "ruptures": "history",
    "jinja2": "toolchain",
    "click": "hwbench",
    "dask": "dask",
    "distributed": "dask",
    "ml_dtypes": "toolchain",
    "onnxscript": "toolchain",
    "platformdirs": "hwbench",
    "psutil": "hwbench",
    "rich": "hwbench",
}
# Packages that pip knows under another name.
_DISTRIBUTIONS = {"pynvml": "nvidia-ml-py"}
_OURS = ("profiles", "runtimes", "hwbench", "toolchain")


def names(package: str) -> tuple[str, ...]:
    """List the plug-ins of a package as users type them (hyphens for underscores), in alphabetical order.

    Folders, and modules whose names start with an underscore, are the package's own helpers.
    """
    path = importlib.import_module(package).__path__
    modules = (module.name for module in pkgutil.iter_modules(path) if not module.ispkg)
    return tuple(sorted(name.replace("_", "-") for name in modules if not name.startswith("_")))


def load(package: str, name: str, kind: str) -> ModuleType:
    """Import one plug-in.

    Args:
        package: the folder, such as "runtimes.backends".
        name: the plug-in's name as users type it, such as "int8-dynamic".
        kind: the word for a plug-in in errors, such as "precision".

    Raises:
        UsageError: there is no such plug-in; the message lists the existing ones.
        NotInstalledError: it needs a package that is missing or broken; the message says how to install it.
    """
    if name not in names(package):
        raise UsageError(f"Unknown {kind} '{name}'; choose from {', '.join(names(package))}.")
    with optional_import(f"The {kind} '{name}'"):
        return importlib.import_module(f"{package}.{name.replace('-', '_')}")


@contextlib.contextmanager
def optional_import(what: str) -> Iterator[None]:
    """Turn an ImportError inside the `with` into an error that says how to install the missing package.

    Args:
        what: the subject of the error's sentence, such as "Signing".

    Raises:
        NotInstalledError: a package is missing or broken; the message says how to install it.
    """
    try:
        yield
    except ImportError as error:
        needed = (error.name or "").partition(".")[0]
        if needed in _OURS:  # a fault of ours, which no installed package repairs
            raise
        if not isinstance(error, ModuleNotFoundError):
            raise NotInstalledError(
                f"{what} needs a package that is installed but cannot be imported: {error}"
            ) from error
        line = f"'edgewright[{_EXTRAS[needed]}]'" if needed in _EXTRAS else _DISTRIBUTIONS.get(needed, needed)
        raise NotInstalledError(f"{what} needs the package '{needed}'; install it with: pip install {line}") from error
