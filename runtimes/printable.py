"""Text from a bundle or a runtime, made safe to show on a terminal or to write into a log."""

from __future__ import annotations


def one_line(text: str) -> str:
    """Line breaks as spaces, and what a terminal would act on escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))
