"""Texts that a manifest may hold: what a person can see, in one line, of a bounded length."""

from __future__ import annotations

from typing import Any

LONGEST = 4_096
"""Most characters of a text; TensorRT's names of fused layers have hundreds."""


def text_fault(data: Any) -> str | None:
    """Find a text in plain data that is too long, or holds a character that is not to be seen.

    Control characters and line breaks give orders to terminals and logs, and bidirectional controls show a name as
    another.

    Args:
        data: lists, tables and texts, such as a parsed manifest; texts are keys, too.

    Returns:
        A clause such as "holds the text 'a\\nb', which ..."; None if there is none.
    """
    level = [data]
    while level:
        further: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if len(item) > LONGEST:
                    return f"holds a text of {len(item):,} characters; {LONGEST:,} is the most"
                if not item.isprintable():
                    return f"holds the text {item[:60]!a}, which has control characters or other unseen ones"
            elif isinstance(item, dict):
                further += [*item.keys(), *item.values()]
            elif isinstance(item, (list, tuple)):
                further += item
        level = further
    return None
