"""A hook of mkdocs that generates the reference: the command line from click, the Python API from docstrings.

The pages exist in the site only. A copy in the repository would be out of date after the next change of an option.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import unittest.mock
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

import runtimes
import runtimes.__main__ as device
from toolchain import cli

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site; mkdocs calls this."""
    from mkdocs.structure.files import File  # the tests read the pages without mkdocs

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def pages() -> dict[str, str]:
    """Generate every page, by its path under `docs/`."""
    return {"reference/cli.md": command_line(), "reference/python.md": python_api()}


def command_line() -> str:
    """Describe every command of `edgewright`, then those of `python -m runtimes`."""
    group = cli.edgewright
    parts = ["# The command line", "`edgewright COMMAND --help` shows the same text.", *_paragraphs(group.help or "")]
    with click.Context(group, info_name="edgewright") as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None, f"{name} is listed and cannot be loaded"
            parts += _command(command, click.Context(command, info_name=name, parent=context))
    parts += ["## On the device: python -m runtimes", *_device_commands()]
    return "\n\n".join(parts) + "\n"


def python_api() -> str:
    """Describe every name that `runtimes` exports."""
    parts = ["# The Python API", inspect.cleandoc(runtimes.__doc__ or "").partition("\n")[0]]
    for name in runtimes.__all__:
        parts += _described(name, getattr(runtimes, name), "##")
    return "\n\n".join(parts) + "\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## edgewright {context.info_name}"
    yield _fenced(" ".join([context.command_path, *command.collect_usage_pieces(context)]))
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        inside = click.Context(inner, info_name=name, parent=context)
        yield f"### {inside.command_path}"
        yield _fenced(" ".join([inside.command_path, *inner.collect_usage_pieces(inside)]))
        yield from _paragraphs(inner.help or "")
        yield from _options(inner, inside)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    records = filter(None, (option.get_help_record(context) for option in options))
    rows = [f"| `{_cell(flags)}` | {_cell(_prose(text))} |" for flags, text in records]
    if rows:
        yield "\n".join(["| option | meaning |", "|---|---|", *rows])


def _device_commands() -> Iterator[str]:
    """Print the help of each of the device's commands, which `python -m runtimes --help` lists."""
    for name in re.findall(r"^    (\w+)  ", _device_help(), re.MULTILINE):
        yield f"### python -m runtimes {name}"
        yield _fenced(_device_help(name))


def _device_help(*command: str) -> str:
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
        unittest.mock.patch.dict(os.environ, COLUMNS="110", NO_COLOR="1"),
    ):
        device.main([*command, "--help"])
    return printed.getvalue().strip()


def _paragraphs(text: str) -> Iterator[str]:
    """Split click's help, whose \\b marks a paragraph that keeps its lines: an example here."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        is_example = paragraph.startswith("\b")
        yield _fenced(paragraph.lstrip("\b\n")) if is_example else _prose(paragraph)


def _described(name: str, thing: Any, heading: str) -> Iterator[str]:
    yield f"{heading} {name}"
    if not (inspect.isclass(thing) and issubclass(thing, BaseException)):
        yield _fenced(f"{name}{_signature(thing)}", "python")
    yield from _docstring(thing)
    if inspect.isclass(thing) and not issubclass(thing, BaseException):
        for member, value in vars(thing).items():
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isfunction(function) and function.__doc__:
                yield f"**`{member}{'' if isinstance(value, property) else _signature(function)}`**"
                yield from _docstring(function)


def _docstring(thing: Any) -> Iterator[str]:
    """Turn a Google-style docstring into Markdown: sections become lists."""
    for paragraph in inspect.cleandoc(thing.__doc__ or "").split("\n\n"):
        title, _, body = paragraph.partition("\n")
        if title in ("Args:", "Attributes:", "Returns:", "Raises:", "Yields:"):
            yield f"*{title}*"
            entries = re.split(r"\n(?=\S)", inspect.cleandoc(body))
            yield "\n".join(f"- {_prose(_named(entry))}" for entry in entries)
        else:
            yield _prose(paragraph)


def _named(entry: str) -> str:
    """Set the names that an entry of a section begins with as code."""
    return re.sub(r"^([\w, ]+):", r"`\1`:", entry)


def _signature(thing: Any) -> str:
    return str(inspect.signature(thing)).replace("'", "").removesuffix(" -> None" if inspect.isclass(thing) else "")


def _prose(text: str) -> str:
    """Join lines, and show angle brackets outside of code as they are."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;").replace("*", r"\*") for part in parts)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text}\n```"
