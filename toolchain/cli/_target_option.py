"""The option --target, and the machines that it names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hwbench.boards import address

if TYPE_CHECKING:
    from hwbench.targets import GpuTarget
    from runtimes.profile import HardwareProfile

F = TypeVar("F", bound=Callable[..., Any])

LOCAL, EMULATED = "local", "emulated"
_BOARD = f"{address.SCHEME}[user@]host[:port]"
_HELP = {
    LOCAL: "this one",
    EMULATED: "the processor of the bundle's device, which QEMU emulates once edgewright targets setup has made its "
    "system",
    _BOARD: "a board that OpenSSH reaches with your own configuration and keys, where Python is enough",
}


class TargetName(click.types.StringParamType):
    """A target's name: one of a few words, or a board's address.

    Attributes:
        words: the words that are taken.
    """

    name = "target"

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Write the forms in the help."""
        return "|".join((*self.words, f"{address.SCHEME}HOST"))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a name, and return it."""
        if value not in self.words:
            if not str(value).startswith(address.SCHEME):
                self.fail(f"{value!r} is none of {', '.join((*self.words, _BOARD))}.", param, ctx)
            address.parse(value)
        return str(value)


def target_option(does: str, words: tuple[str, ...] = (LOCAL,)) -> Callable[[F], F]:
    """Add --target, the machine that runs a bundle.

    Args:
        does: what the machine does, in words that follow "The machine that".
        words: the targets beside boards.
    """
    kinds = "; or ".join(_HELP[word] for word in (*words, _BOARD))
    return click.option(
        "--target",
        type=TargetName(words),
        default=LOCAL,
        show_default=True,
        help=f"The machine that {does}: {kinds}.",
    )


def is_board(name: str) -> bool:
    """Tell whether a target is a board."""
    return name.startswith(address.SCHEME)


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
    from hwbench.targets.ssh import open_ssh

    with open_ssh(name) as board:
        if device is not None:
            board.check_is(device)
        yield board
