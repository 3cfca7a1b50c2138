"""A user's FILE.py: its import, which finds the files beside it and replaces no package of the same name, and the file
and line of its errors.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from hwbench.data import code_line
from runtimes.errors import UsageError

_taken: dict[str, Path] = {}  # top-level modules that were imported from a user's folder


def load(path: Path) -> ModuleType:
    """Import a file under a private name, so that `onnx.py` does not become the package onnx.

    Raises:
        UsageError: the file is missing, or raises an error; says which.
    """
    if not path.is_file():
        raise UsageError(f"There is no file '{path}'.")
    name = "_user" + re.sub(r"\W", "_", str(path.resolve()))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickled weights look their module up
    try:
        with beside(path):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's file may raise anything, or be a script that exits
        del sys.modules[name]
        raise UsageError(f"'{path}' cannot be imported: {described(error, path)}") from error
    return module


@contextlib.contextmanager
def running(path: Path, what: str) -> Iterator[None]:
    """Run a function of a user's file, which may import when it is called.

    Args:
        path: the file.
        what: the beginning of the error's sentence, such as "Metric 'loss' failed:".

    Raises:
        UsageError: the function raised an error; says which, and at which line.
    """
    try:
        with beside(path):
            yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise UsageError(f"{what} {described(error, path)}") from error


def described(error: BaseException, path: Path) -> str:
    """Describe an error in a user's code: its kind, its text and its place."""
    reason = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:300].rstrip(".")
    what = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    where = _innermost_line(error, path)
    return f"{what}, at {where}" if where else what


def _innermost_line(error: BaseException, path: Path) -> str | None:
    """Find the innermost line of an error that is in a user's file or beside it."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        lines = [(error.filename, error.lineno)]
    else:
        lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    near = [(file, line) for file, line in lines if Path(file).resolve().parent == path.resolve().parent]
    return code_line.shown(near[-1][0], near[-1][1] or 1) if near else None


@contextlib.contextmanager
def beside(path: Path) -> Iterator[None]:
    """Let imports find the modules in a file's folder first, as if Python ran the file itself."""
    finder = _Folder(path)
    others = {name for name, folder in _taken.items() if folder != finder.folder}
    for name in [name for name in sys.modules if name.partition(".")[0] in others]:
        del sys.modules[name]  # another folder's `utils` is not this one's
    for name in others:
        del _taken[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Folder(MetaPathFinder):
    """Finder of a folder's modules except the file itself: an `onnx.py` that imports onnx means the package.

    sys.path could not make that exception.
    """

    def __init__(self, path: Path) -> None:
        self.folder, self._own = path.resolve().parent, path.stem

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is not None or fullname == self._own:  # within a package, or ourselves
            return None
        spec = PathFinder.find_spec(fullname, [str(self.folder)], target)
        # A folder without __init__.py comes after every package, as in Python's own search.
        if spec is None or (spec.loader is None and PathFinder.find_spec(fullname) is not None):
            return None
        _taken[fullname] = self.folder
        return spec
