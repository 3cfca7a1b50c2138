"""Releases: a version that only grows, and a time after which a bundle is not opened; both are optional and signed."""

from __future__ import annotations

import time
from dataclasses import dataclass

_FORM = "%Y-%m-%dT%H:%M:%SZ"
MAX_VERSION = 2**63 - 1


@dataclass(frozen=True)
class Release:
    """The place of a bundle among those of its name.

    Times are UTC, as in 2027-01-31T23:59:59Z, so that their order is that of their texts.

    Attributes:
        version: a number from 1 on, larger than that of every earlier bundle of the name; None if there is none.
        not_after: the last time at which the bundle is opened; None for ever.
        signed_at: the time at which `not_after` was given, before which no clock can be right.
    """

    version: int | None = None
    not_after: str | None = None
    signed_at: str | None = None

    def __post_init__(self) -> None:
        if self.version is not None and not 1 <= self.version <= MAX_VERSION:
            raise ValueError(f"has the version {self.version}; expected 1 to {MAX_VERSION}")
        for text in (self.not_after, self.signed_at):
            if text is not None and not _is_time(text):
                raise ValueError(f"has the time {text[:40]!a}; expected one as in 2027-01-31T23:59:59Z")
        if (self.not_after is None) is not (self.signed_at is None) or (self.not_after or "") < (self.signed_at or ""):
            raise ValueError("has a not_after without an earlier signed_at, or the reverse")


def utc(seconds: float | None = None) -> str:
    """Write a time, in seconds since 1970, as releases do; now, if None."""
    return time.strftime(_FORM, time.gmtime(seconds))


def time_fault(release: Release | None, now: str) -> str | None:
    """Tell why a bundle is not to be opened now.

    Returns:
        The end of a sentence whose subject is the bundle; None if it may be opened.
    """
    if release is None or release.not_after is None or release.signed_at is None:
        return None
    if now < release.signed_at:  # a clock that was set back would make every bundle young
        return f"was signed at {release.signed_at}, but this machine's clock says {now}; set the clock"
    if now > release.not_after:
        return f"expired at {release.not_after}, and it is {now}; get a newer one"
    return None


def version_fault(release: Release | None, at_least: int) -> str | None:
    """Tell why a bundle is too old, where versions from `at_least` on are wanted; see `time_fault`."""
    version = release.version if release is not None else None
    if (version or 0) >= at_least:
        return None
    return f"has {f'version {version}' if version else 'no version'}; {at_least} is the least that is wanted"


def _is_time(text: str) -> bool:
    try:
        return time.strftime(_FORM, time.strptime(text, _FORM)) == text
    except ValueError:
        return False
