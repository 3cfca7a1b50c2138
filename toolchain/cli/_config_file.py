"""Reader of edgewright.toml, which holds the options of `edgewright build`.

Its keys are the long option names; the values of repeatable options are lists. One of names may also be a text, as in
precision = "fp32,int8".
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from runtimes.errors import UsageError
from toolchain.cli._option_types import FileOrName, NamesOption, names_file, split_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_COMMAND_LINE_ONLY = ("trust-source",)  # the file's author may be the source's


def read(path: Path, ctx: click.Context) -> dict[str, Any]:
    """Read a file as defaults of a command's parameters, for click's `default_map`.

    Args:
        path: the file; relative paths in it start at its own folder.
        ctx: the context of the command, whose parameters and types determine what the file may hold.

    Raises:
        UsageError: the file is missing or wrong; the message names the key and what was expected.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no file '{path}'.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {error}.") from None
    known = {_key(param): param for param in ctx.command.params if _key(param) not in _COMMAND_LINE_ONLY}
    values = {}
    for key, value in data.items():
        param = known.get(key.replace("_", "-"))
        if param is None:
            raise UsageError(f"{path}: unknown key '{key}'; expected one of {', '.join(known)}.")
        assert param.name is not None
        values[param.name] = _value(f"{path}: '{key}'", value, param, ctx, path.parent)
    return values


def _key(param: click.Parameter) -> str:
    return param.opts[-1].lstrip("-")


def _value(where: str, value: object, param: click.Parameter, ctx: click.Context, folder: Path) -> object:
    if isinstance(param, click.Option) and param.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{where} should be true or false, got {value!r}.")
        return value
    if isinstance(param, NamesOption):
        value = _names(where, [value] if isinstance(value, str) else value)
    if isinstance(value, list) is not param.multiple:
        raise UsageError(f"{where} should be {'a list' if param.multiple else 'one value'}, got {value!r}.")
    return (
        [_one(where, item, param, ctx, folder) for item in value]
        if isinstance(value, list)
        else _one(where, value, param, ctx, folder)
    )


def _names(where: str, value: object) -> object:
    """Split names at commas now, since each may be a file beside the TOML."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return value  # refused for its kind
    try:
        return list(split_names(value))
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _one(where: str, value: object, param: click.Parameter, ctx: click.Context, folder: Path) -> object:
    """Convert one value from its text, as the command line does, so that neither true nor 2.5 is an integer."""
    if not isinstance(value, str | int | float):
        raise UsageError(f"{where} should be text or a number, got {value!r}.")
    try:
        converted = param.type.convert(str(value), param, ctx)
    except click.BadParameter as error:
        raise UsageError(f"{where}: {error.message}") from None
    if isinstance(param.type, click.Path):
        return folder / converted
    return _beside(folder, str(value)) if isinstance(param.type, FileOrName) else converted


def _beside(folder: Path, text: str) -> str:
    """Look up a file, or FILE:FUNCTION, in the folder; return any other text as it is."""
    return str(folder / text) if names_file(text, folder) else text
