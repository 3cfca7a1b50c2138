"""The package Keras, which computes with torch."""

from __future__ import annotations

import os
import sys
from typing import Any, TypeGuard

from runtimes import plugins
from runtimes.errors import UsageError

_BACKEND = "KERAS_BACKEND"


def prefer_torch() -> None:
    """Let Keras compute with torch once it is imported, unless the user says otherwise."""
    os.environ.setdefault(_BACKEND, "torch")


def import_keras() -> Any:
    """Import Keras.

    Raises:
        NotInstalledError: it is not installed, or the package of its backend is not.
        UsageError: it computes with another package than torch.
    """
    prefer_torch()
    _check_backend(sys.modules.get("keras"))  # before the import, which looks for the other package
    with plugins.optional_import("A Keras model"):
        import keras
    _check_backend(keras)
    return keras


def is_model(value: object) -> TypeGuard[Any]:
    """Tell whether a value is a Keras model, without an import of Keras."""
    keras = imported()
    return keras is not None and isinstance(value, keras.Model)


def imported() -> Any:
    """Return Keras if it is imported, else None."""
    keras = sys.modules.get("keras")
    return keras if hasattr(keras, "Model") else None


def _check_backend(keras: Any) -> None:
    backend = keras.backend.backend() if keras is not None else os.environ[_BACKEND]
    if backend != "torch":
        raise UsageError(
            f"Keras computes with {backend} here, and an export needs it to compute with torch; set {_BACKEND}=torch."
        )
