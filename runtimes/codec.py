"""Conversion of frozen dataclasses to plain data and back, with errors that name the key.

One decoder serves device profiles (TOML), manifests and reports (JSON): the type hints are the schema.
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from runtimes.errors import UsageError

T = TypeVar("T")

_SHORT = reprlib.Repr()  # unlike repr(), it does not fail on deeply nested lists
_SHORT.maxstring = _SHORT.maxother = 60


def encode(value: Any) -> Any:
    """Convert a dataclass to plain data (dict, list, str, number, bool, None); fields that are None are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: encode(item) for name, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    return value


def decode(cls: type[T], data: Any, where: str) -> T:
    """Build `cls` from plain data.

    Args:
        cls: a dataclass whose fields are str, int, float, bool, Path, Literal, optionals and unions of
            these, `tuple[X, ...]`, `Mapping[str, X]` or other such dataclasses.
        data: the result of a JSON or TOML parser.
        where: the name of the data in errors, usually its file.

    Raises:
        UsageError: a key is missing, unknown or of the wrong type; the message names file, key and type.
    """
    return typing.cast(T, _decode(cls, data, where, ""))


def _decode(hint: Any, data: Any, where: str, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(typing.cast(type, hint), data, where, key)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return data
    if origin is Literal:
        return data if data in args else _refuse(where, key, "one of " + ", ".join(map(str, args)), data)
    if origin in (Union, types.UnionType):
        return _decode_union(args, data, where, key)
    if origin is tuple:
        if not isinstance(data, list):
            _refuse(where, key, "a list", data)
        return tuple(_decode(args[0], item, where, f"{key}[{i}]") for i, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            _refuse(where, key, "a table", data)
        return {name: _decode(args[1], item, where, _join(key, name)) for name, item in data.items()}
    return _decode_scalar(hint, data, where, key)


def _decode_dataclass(cls: type, data: Any, where: str, key: str) -> Any:
    if not isinstance(data, Mapping):
        _refuse(where, key, "a table", data)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in data:
        if name not in fields:
            raise UsageError(f"{where}: unknown key '{_join(key, name)}'; expected one of {', '.join(fields)}.")
    hints = _type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _decode(hints[name], data[name], where, _join(key, name))
        elif type(None) in typing.get_args(hints[name]) and field.default is dataclasses.MISSING:
            values[name] = None  # `encode` left it out
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where}: key '{_join(key, name)}' is missing; expected {_describe(hints[name])}.")
    try:
        return cls(**values)
    except ValueError as error:  # a dataclass's own __post_init__ check
        raise UsageError(f"{where}: '{key or cls.__name__}' {error}.") from None


@functools.cache
def _type_hints(cls: type) -> dict[str, Any]:
    """Evaluate a class's annotations once, since that takes longer than decoding an instance."""
    return typing.get_type_hints(cls)


def _decode_union(args: tuple[Any, ...], data: Any, where: str, key: str) -> Any:
    if data is None and type(None) in args:
        return None
    options = [arg for arg in args if arg is not type(None)]
    if len(options) == 1:
        return _decode(options[0], data, where, key)
    for option in options:
        if isinstance(data, option) and not isinstance(data, bool):
            return data
    return _refuse(where, key, " or ".join(_describe(option) for option in options), data)


def _decode_scalar(hint: Any, data: Any, where: str, key: str) -> Any:
    if hint is Path and isinstance(data, str):
        return Path(data)
    if hint is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError:
            _refuse(where, key, "a number below 1e308", data)
    if isinstance(data, hint) and not (hint is int and isinstance(data, bool)):
        return data
    return _refuse(where, key, _describe(hint), data)


def _refuse(where: str, key: str, expected: str, data: Any) -> typing.NoReturn:
    shown = _SHORT.repr(data)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    place = f"'{key}' should be" if key else "expected"
    raise UsageError(f"{where}: {place} {expected}, got {shown}.")


def _describe(hint: Any) -> str:
    words = {str: "a string", int: "an integer", float: "a number", bool: "true or false", Path: "a path"}
    if hint in words:
        return words[hint]
    if dataclasses.is_dataclass(hint):
        return "a table"
    return str(hint).replace("typing.", "")


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else str(name)
