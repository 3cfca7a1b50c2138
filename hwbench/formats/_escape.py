"""One function per medium that makes text from a model, a report or a runtime harmless in it."""

from __future__ import annotations

import re

from runtimes.errors import no_commands

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # direction and line breaks
    "\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f]"  # nothing that a person would see
)
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t")

# Characters that would end a cell or start markup. `<` counts only if a tag could begin, so p90<=20ms stays as it is.
_MARKUP = re.compile(r"[\\`*|~$\[&]|(?<!\w)_|_(?!\w)|<(?=[A-Za-z/!?])")
_AT_START = re.compile(r"([-+>=#]|\d+(?=[.)]))")
_MENTION = re.compile(r"@(?=\w)|#(?=\w)|GH-(?=\d)|www(?=\.)|(?:https?|ftp):(?=//)", re.IGNORECASE)
_APART = "<!-- -->"  # GitHub looks for names and addresses after it has read Markdown, so a backslash does not help


def clean(text: str) -> str:
    """Replace characters that a terminal, XML or UTF-8 cannot hold, or that change the order of others."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _ANSI.sub("", text).replace("\r\n", "\n"))


def line(text: str) -> str:
    """Clean text, and make it one line."""
    return clean(text).replace("\n", " ")


def log(text: str) -> str:
    """Break what a CI server takes for a command, in the lines of a log."""
    return no_commands(text)


def csv_cell(value: object) -> object:
    """Make a text one line, and no formula for a spreadsheet; other values stay."""
    if not isinstance(value, str):
        return value
    text = line(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def markdown(text: str) -> str:
    """Escape markup, mentions, references and addresses in GitHub's Markdown."""
    escaped = _MARKUP.sub(lambda match: "\\" + match[0], " ".join(clean(text).split()))
    escaped = _MENTION.sub(lambda match: match[0] + _APART, escaped)
    start = _AT_START.match(escaped)  # of a list or a quotation; in a numbered list, the mark is after the number
    if start is None:
        return escaped
    return f"{start[0]}\\{escaped[start.end() :]}" if start[0].isdigit() else f"\\{escaped}"


def github(text: str) -> str:
    """Encode the message of a workflow command."""
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def github_title(text: str) -> str:
    """Encode a property of a workflow command."""
    return github(text).replace(":", "%3A").replace(",", "%2C")
