"""Opening of a history's database: an SQLite file, in which nothing is trusted, or an SQLAlchemy URL."""

from __future__ import annotations

import itertools
import os
import sqlite3
import urllib.parse
from typing import Any

import sqlalchemy as sql

from runtimes.errors import UsageError

_LENGTH = 0  # SQLITE_LIMIT_LENGTH, whose name `sqlite3` has since Python 3.11
_MAX_VALUE_BYTES = 1 << 20
_MAX_STEPS = 100_000_000  # of SQLite's virtual machine, which takes about 50 for a point: a second or two
_STEPS = 100_000


def engine(where: str, *, writable: bool = True) -> sql.Engine:
    """Open a database; a file that is not to be written is opened for reading alone.

    Raises:
        UsageError: the URL cannot be used, or its driver is not installed.
    """
    try:
        if "://" in where:
            opened = sql.create_engine(where)
        elif writable:
            opened = sql.create_engine(f"sqlite:///{where}")
        else:
            uri = f"file:{urllib.parse.quote(os.path.realpath(where))}?mode=ro"
            opened = sql.create_engine(
                "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sql.pool.NullPool
            )
    except (sql.exc.SQLAlchemyError, ImportError) as error:  # a driver that is not installed
        raise refusal(where, error) from None
    if opened.dialect.name == "sqlite":
        sql.event.listen(opened, "connect", lambda connection, _: _bound(connection, writable=writable))
    return opened


def _bound(connection: Any, *, writable: bool) -> None:
    """Bound what a file can make SQLite do, whose table may be an endless view, and whose triggers may be anything."""
    connection.execute("PRAGMA trusted_schema = OFF")
    if not writable:
        connection.execute("PRAGMA query_only = ON")
    if hasattr(connection, "setlimit"):  # since Python 3.11
        connection.setlimit(_LENGTH, _MAX_VALUE_BYTES)
    calls = itertools.count(1)
    connection.set_progress_handler(lambda: int(next(calls) > _MAX_STEPS // _STEPS), _STEPS)


def refusal(where: str, error: Exception) -> UsageError:
    """Make the error of a database that cannot be used, without the password in its URL."""
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    if reason == "interrupted":  # by the progress handler
        reason = "it takes too long to read, as an endless view does"
    shown = where.rpartition("@")[2]  # a URL may hold a password
    return UsageError(f"The history '{shown}' cannot be used: {reason}.")
