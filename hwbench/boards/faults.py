"""Faults of a connection, in sentences: what ssh said, and what to do next."""

from __future__ import annotations

from hwbench.boards.address import Address
from runtimes.errors import EdgewrightError, UsageError


class BoardLostError(ConnectionError):
    """The connection to a board was lost, or cannot be made; what was measured before is still true.

    It is an OSError, since it says nothing about the bundle that was being measured.
    """


def refused(address: Address, stderr: str) -> EdgewrightError | BoardLostError:
    """Make the error of a connection that could not be made, from what ssh wrote."""
    by_hand = f"connect once by hand ({address.command}), where you can compare its fingerprint"
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in stderr:
        return UsageError(
            f"{address} has another host key than before, as after a new installation, or it is another machine; if "
            f"that is right, remove the old key (ssh-keygen -R) and {by_hand}."
        )
    if "Host key verification failed" in stderr:
        return UsageError(f"The host key of {address} is not known here; {by_hand}.")
    if "Permission denied" in stderr or "Too many authentication failures" in stderr:
        return UsageError(
            f"{address} refuses the login ({_last_line(stderr)}); give it your key (ssh-copy-id {address.login}), and "
            "unlock it with ssh-add if it has a passphrase."
        )
    if "Bad configuration option" in stderr or "terminating, " in stderr:
        return UsageError(f"ssh's configuration cannot be read: {_last_line(stderr)}")
    return BoardLostError(
        f"{address} cannot be reached ({_last_line(stderr)}); check that it is on, and that this works: "
        f"{address.command}"
    )


def lost(address: Address, stderr: str) -> BoardLostError:
    """Make the error of a connection that ended in the middle of a call."""
    return BoardLostError(
        f"The connection to {address} was lost ({_last_line(stderr)}), and nothing was left running there; run the "
        "command again once it is back."
    )


def rebooted(address: Address) -> BoardLostError:
    """Make the error of a board that started anew in the middle of a call."""
    return BoardLostError(
        f"{address} was restarted while it ran a model, perhaps for lack of power or memory; run the command again."
    )


def _last_line(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("ssh: ").rstrip(".") if lines else "ssh gave no reason"
