"""The exceptions edgewright raises, all of them one readable sentence.

EdgewrightError
├── UsageError            the caller asked for something that cannot be: a name, a value, a file
│   └── FeedError         the arrays given to a session do not match its inputs
├── NotInstalledError     an optional package is missing; the message holds the line that installs it
├── BundleError           a bundle was refused
│   ├── TamperedError     a member's bytes, size or name are not what the manifest declares
│   ├── SignatureError    not signed, or not by the owner of the key that was given
│   └── SchemaError       written for another schema version than this one reads
├── UnsupportedError      this runtime, chip or machine cannot do what was asked
└── BackendError          the runtime below failed; its own text is passed on
"""


class EdgewrightError(Exception):
    """Base of every exception that edgewright raises on purpose."""


class UsageError(EdgewrightError):
    """The caller asked for something that cannot be."""


class FeedError(UsageError):
    """An input's name, dtype or shape is not what the model declares."""


class NotInstalledError(EdgewrightError):
    """An optional dependency is missing."""


class BundleError(EdgewrightError):
    """A bundle was refused."""


class TamperedError(BundleError):
    """A bundle's contents are not what its manifest declares."""


class SignatureError(BundleError):
    """A bundle is not signed, or not by the owner of the key that was given."""


class SchemaError(BundleError):
    """A file follows a schema version that this release does not read."""


class UnsupportedError(EdgewrightError):
    """This runtime, chip or machine cannot do what was asked."""


class BackendError(EdgewrightError):
    """The runtime below failed."""


def one_line(text: str) -> str:
    """Make text from a bundle or a runtime safe to show on a terminal or to write into a log.

    Line breaks become spaces, and characters that a terminal would act upon are escaped.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))
