"""The `edgewright` command: one file per subcommand, each with a click command named `command`.

Exit codes: 0 met; 1 a budget is broken; 2 usage or tool error; 3 inconclusive; 130 interrupted; 141 the reader of
the output is gone.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

try:
    import click
except ModuleNotFoundError as missing:  # a device that only runs bundles has no use for it
    sys.stderr.write("Error: edgewright needs the package 'click'; install: pip install 'edgewright[hwbench]'\n")
    raise SystemExit(2) from missing

import runtimes
from runtimes import plugins
from runtimes.command_line import escape_unknown_characters, unless_unread
from runtimes.errors import EdgewrightError, one_line
from runtimes.processes.end_signals import end_orderly
from runtimes.processes.owned_folder import temporary_files

# The order in which people use the commands.
_ORDER = (
    *"demo inspect profiles targets build sweep measure gate reproduce history".split(),
    *"verify compile matrix sign attest calibrate debug saturation".split(),
)


class _Commands(click.Group):
    """Subcommands from the folder, each imported when it is run."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _ends_when_unread():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _ends_when_unread():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        found = plugins.names(__name__)
        return sorted(found, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in plugins.names(__name__):
            return None
        command: click.Command = plugins.load(__name__, cmd_name, "command").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them, which would take longer than printing the list."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in self.list_commands(ctx)])


@contextlib.contextmanager
def _ends_when_unread() -> Iterator[None]:
    """Keep click from exiting with 1 when a pipe is closed, which would be a verdict; see `unless_unread`."""
    try:
        yield
    except BrokenPipeError as closed:
        raise SystemExit from closed


def _summary(name: str) -> str:
    """Read the first paragraph of a command's help from its file."""
    body = ast.parse(Path(__file__).with_name(f"{name.replace('-', '_')}.py").read_text("utf-8")).body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    text = ast.get_docstring(functions["command"]) or ""
    return " ".join(text.partition("\n\n")[0].split())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(runtimes.__version__, prog_name="edgewright")
def edgewright() -> None:
    """Take a trained model to the fastest file that still gives the right answers on your device.

    Exit codes: 0 budgets met, 1 a budget is broken, 2 an error, 3 inconclusive.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every error becomes one sentence and an exit code here, and only here."""
    end_orderly()
    escape_unknown_characters()
    sys.exit(unless_unread(lambda: _run(arguments)))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        with temporary_files():
            result = edgewright.main(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except EdgewrightError as error:
        return _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted; nothing was left half-written.", err=True)
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            where = error.filename or tempfile.gettempdir()  # a failed write does not say which file it was for
            return _fail(f"The disk of '{where}' is full; nothing was left half-written. Free some space there.")
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.")
    except Exception as error:  # a defect of edgewright must not exit with 1, which a CI job would take for a verdict
        if os.environ.get("EDGEWRIGHT_TRACEBACK"):
            raise
        return _fail(
            "internal error; please report it with the traceback that EDGEWRIGHT_TRACEBACK=1 shows: "
            f"{type(error).__name__}: {error}"
        )


def _fail(message: str) -> int:
    # Messages of runtimes have line breaks, and names from bundles may hold control characters.
    click.echo(f"Error: {one_line(message)}", err=True)
    return 2
