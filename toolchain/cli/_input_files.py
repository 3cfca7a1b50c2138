"""The files that a command reads, none of which its outputs may replace."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import click

from runtimes.errors import UsageError
from runtimes.files import check_keeps
from toolchain.cli._option_types import FileOrName, names_file
from toolchain.sources.open_source import is_onnx

_NOTED = "toolchain.cli.input_files"


def note_inputs(ctx: click.Context, texts: Sequence[str]) -> None:
    """Note files that `ctx.params` does not hold, since a callback replaced them by what they contain."""
    ctx.meta.setdefault(_NOTED, []).extend(texts)


def check_keeps_inputs(
    ctx: click.Context, outputs: Sequence[Path], written: str, option: str = "", replaceable: Collection[str] = ()
) -> None:
    """Check, before anything is computed, that a command's outputs replace nothing that it reads.

    Every other argument, and option of a type that names files, counts as read: a new option needs no line here.

    Args:
        ctx: the command's context, with its parameters.
        outputs: the files to write.
        written: the parameter that `outputs` come from.
        option: its name for the error; --`written`, if not given.
        replaceable: further parameters whose files may be replaced.

    Raises:
        UsageError: an output is also an input, or two outputs are one file.
    """
    if not outputs:
        return
    option = option or f"--{written}"
    values = [
        ctx.params.get(param.name or "")
        for param in ctx.command.params
        if _names_files(param) and param.name != written and param.name not in replaceable
    ]
    read = [file for text in _texts([*values, *ctx.meta.get(_NOTED, ())]) for file in _files(text)]
    for number, output in enumerate(outputs):
        check_keeps(output, read, option)
        if output in outputs[:number] and (output.is_file() or not output.exists()):
            raise UsageError(
                f"'{output}' is written twice, and would hold the last result alone; give another {option}."
            )


def _names_files(param: click.Parameter) -> bool:
    return isinstance(param, click.Argument) or isinstance(param.type, (click.Path, FileOrName))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, (str, Path)):
        yield str(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _files(text: str) -> Iterator[Path]:
    """List the files that a text may name: FILE, FILE:FUNCTION, MODULE:FUNCTION, a folder of .npz, an SQLite URL."""
    path, where = Path(text.removeprefix("sqlite:///")), text.rpartition(":")[0]
    yield path
    if where:
        yield Path(where) if names_file(where) else Path(f"{where.replace('.', '/')}.py")
    if is_onnx(path) and path.is_file():
        from toolchain.models.onnx_model import files_of, load_ir  # with onnx-ir

        yield from files_of(path, load_ir(path))
    if path.is_dir():
        yield from path.glob("*.npz")
