"""The exceptions that edgewright raises; the text of each is one readable sentence.

EdgewrightError
├── UsageError            a name, a value or a file that the caller gave cannot be used
│   └── FeedError         the arrays given to a session do not match its inputs
├── NotInstalledError     an optional package is missing; the message holds the line that installs it
├── BundleError           a bundle was refused
│   ├── TamperedError     a member's bytes, size or name are not what the manifest declares
│   ├── SignatureError    it is not signed, or not by the owner of the key that was given
│   ├── OutdatedError     it is older than the version that was asked for, or has expired
│   └── SchemaError       it follows a schema version that this release does not read
├── UnsupportedError      this runtime, chip or machine cannot do what was asked
└── BackendError          the runtime, such as ONNX Runtime, failed; its own text is passed on
"""

import re

_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_MARKED_COMMAND = re.compile(r"##(?=\w*\[)")


class EdgewrightError(Exception):
    """Base of every exception that edgewright raises on purpose."""


class UsageError(EdgewrightError):
    """A name, a value or a file that the caller gave cannot be used."""


class FeedError(UsageError):
    """An array's name, dtype or shape differs from what the model declares."""


class NotInstalledError(EdgewrightError):
    """An optional dependency is missing."""


class BundleError(EdgewrightError):
    """A bundle was refused."""


class TamperedError(BundleError):
    """A bundle's contents differ from what its manifest declares."""


class SignatureError(BundleError):
    """A bundle is not signed, or not by the owner of the key that was given."""


class OutdatedError(BundleError):
    """A bundle is older than the version that was asked for, or has expired."""


class SchemaError(BundleError):
    """A file follows a schema version that this release does not read."""


class UnsupportedError(EdgewrightError):
    """This runtime, chip or machine cannot do what was asked."""


class BackendError(EdgewrightError):
    """The runtime, such as ONNX Runtime, failed."""


def one_line(text: str) -> str:
    """Make text from a bundle or a runtime safe to show on a terminal or to write into a log.

    Line breaks become spaces, and characters that a terminal or a CI server would act upon are escaped.
    """
    return no_commands("".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split())))


def no_commands(text: str) -> str:
    """Break what CI servers take for a command in a log: `::error::` at a line's start, `##[error]`, `##vso[...]`."""
    return _MARKED_COMMAND.sub(r"#\\#", _COMMAND.sub(r"\1\\:", text))
