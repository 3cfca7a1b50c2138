"""The option --target, and the machines that it names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hwbench.boards import address
from hwbench.rack.scheduler_address import SCHEMES, parse_scheduler
from runtimes import plugins

if TYPE_CHECKING:
    from hwbench.targets import BoardTarget, GpuTarget
    from runtimes.profile import HardwareProfile

F = TypeVar("F", bound=Callable[..., Any])

LOCAL, EMULATED = "local", "emulated"
_BOARD = f"{address.SCHEME}[user@]host[:port]"
_RACK = "tls://host[:port]"
_HELP = {
    LOCAL: "this one",
    EMULATED: "the processor of the bundle's device, which QEMU emulates once edgewright targets setup has made its "
    "system",
    _BOARD: "a board that OpenSSH reaches with your own configuration and keys, where Python is enough",
    _RACK: "a board of the device's kind in a rack, which a Dask scheduler knows (dask://localhost:8786 without TLS)",
}


class TargetName(click.types.StringParamType):
    """A target's name: one of a few words, or a board's address.

    Attributes:
        words: the words that are taken.
        racks: the addresses of Dask schedulers are taken, too.
    """

    name = "target"

    def __init__(self, words: tuple[str, ...], *, racks: bool) -> None:
        self.words, self.racks = words, racks

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Write the forms in the help."""
        return "|".join((*self.words, f"{address.SCHEME}HOST"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a name, and return it."""
        text = str(value)
        if self.racks and text.startswith(SCHEMES):
            parse_scheduler(text)
        elif text not in self.words:
            if not text.startswith(address.SCHEME):
                known = (*self.words, _BOARD, *([_RACK] if self.racks else ()))
                self.fail(f"{value!r} is none of {', '.join(known)}.", param, ctx)
            address.parse(text)
        return text


def target_option(does: str, words: tuple[str, ...] = (LOCAL,), *, racks: bool = True) -> Callable[[F], F]:
    """Add --target, the machine that runs a bundle.

    Args:
        does: what the machine does, in words that follow "The machine that".
        words: the targets beside boards.
        racks: a rack's boards are taken, too.
    """
    kinds = "; or ".join(_HELP[word] for word in (*words, _BOARD, *([_RACK] if racks else ())))
    return click.option(
        "--target",
        type=TargetName(words, racks=racks),
        default=LOCAL,
        show_default=True,
        help=f"The machine that {does}: {kinds}.",
    )


def is_board(name: str) -> bool:
    """Tell whether a target is a board."""
    return name.startswith((address.SCHEME, *SCHEMES))


@contextlib.contextmanager
def open_target(name: str, device: HardwareProfile | None = None) -> Iterator[GpuTarget]:
    """Open a target that measures, until the end.

    Args:
        name: a board's address, or `LOCAL`.
        device: the profile of what is to be measured there; a board has to be such a device.

    Raises:
        UnsupportedError: the board is no such device, or runs no bundles.
        UsageError: it cannot be logged in to.
        OSError: it cannot be reached.
    """
    if not is_board(name):
        from hwbench.targets.local import LocalTarget

        yield LocalTarget()
        return
    with open_board(name, device) as board:
        if device is not None:
            board.check_is(device)
        yield board


@contextlib.contextmanager
def open_board(name: str, device: HardwareProfile | None = None) -> Iterator[BoardTarget]:
    """Open a board by its address, or one of a rack by the scheduler's, until the end.

    Args:
        name: the address.
        device: the profile that names the kind of a rack's board, if the address does not.

    Raises:
        UsageError: it cannot be logged in to, or the scheduler is not secured or has no such board.
        OSError: it cannot be reached.
    """
    if name.startswith(SCHEMES):
        with plugins.optional_import("A rack"):
            from hwbench.targets.dask import open_dask
        with open_dask(name, device.name if device is not None else "") as of_rack:
            yield of_rack
        return
    from hwbench.targets.ssh import open_ssh

    with open_ssh(name) as board:
        yield board
