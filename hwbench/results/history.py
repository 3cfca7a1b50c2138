"""History: figures of a model on a device over time, in an SQLite file or any database that SQLAlchemy opens."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from hwbench.machine.identity import Machine
from hwbench.measurements.report import NotMeasuredError
from hwbench.results import history_database
from hwbench.results.profile_results import ProfileResult, Results
from runtimes.errors import UsageError

_TABLE = sql.Table(
    "figures",
    sql.MetaData(),
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("at", sql.DateTime, nullable=False),
    *(sql.Column(name, sql.String, nullable=False) for name in ("model", "profile", "device", "source_sha256")),
    sql.Column("quantity", sql.String, nullable=False),
    *(sql.Column(name, sql.Float, nullable=False) for name in ("value", "low", "high")),
    sql.Column("outcome", sql.String, nullable=False),
)

_COMMITS = sql.Table(  # apart from the figures, so that a history from before commits were noted stays one
    "commits",
    _TABLE.metadata,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("at", sql.DateTime, nullable=False),
    *(sql.Column(name, sql.String, nullable=False) for name in ("model", "profile", "device", "commit_id")),
)

_MAX_POINTS = 20_000  # of one quantity; one run a day makes 365 a year
_LARGEST = 1e30  # of a figure; charts need room above it
_LONGEST = 4_096  # characters of a name


@dataclass(frozen=True)
class Point:
    """One figure of one run.

    Attributes:
        at: time of the run in UTC, without a time zone.
        device: description of the machine.
        outcome: outcome of all budgets of that run; "measured" if there were none.
        commit: the commit of the working folder, or of the CI job; empty if it was not known.
    """

    at: datetime.datetime
    model: str
    profile: str
    device: str
    source_sha256: str
    quantity: str
    value: float
    low: float
    high: float
    outcome: str
    commit: str = ""


@contextlib.contextmanager
def ensure_database(where: str) -> Iterator[None]:
    """Create a database if it is missing, so that an unusable path is refused before anything is measured.

    If the work fails, a file that was created is removed.

    Raises:
        UsageError: the database cannot be opened or written, or the folder for its file is missing.
    """
    is_file = "://" not in where
    if is_file and not Path(where).parent.exists():
        raise UsageError(f"There is no folder '{Path(where).parent}' for the history '{where}'; make it first.")
    file = Path(os.path.realpath(where))  # what a link leads to, which is the file that SQLite makes
    if is_file and file.exists() and not file.is_file():
        raise UsageError(f"The history '{where}' is no file; give an SQLite file, or an SQLAlchemy URL.")
    made = is_file and not file.exists()
    try:
        _create(where)
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # it could not be made
                file.unlink()
        raise


def record(where: str, results: Results, at: datetime.datetime | None = None, commit: str = "") -> int:
    """Add the figures of each profile's selected candidate; return their number.

    Args:
        where: a file's path, or an SQLAlchemy URL.
        results: the results of a measurement.
        at: time of the run; now, if None.
        commit: the commit that is measured; empty if it is not known.

    Raises:
        UsageError: the database cannot be opened or written.
    """
    now = at or datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    rows = [row for profile in results.profiles for row in _rows(profile, now)]
    _create(where)
    try:
        with history_database.engine(where).begin() as connection:
            if rows:
                connection.execute(sql.insert(_TABLE), rows)
            runs = {tuple(str(row[name]) for name in ("model", "profile", "device")) for row in rows}
            if runs and commit:
                named = [dict(zip(("model", "profile", "device"), run)) for run in sorted(runs)]
                connection.execute(sql.insert(_COMMITS), [{**run, "at": now, "commit_id": commit} for run in named])
    except sql.exc.SQLAlchemyError as error:
        raise history_database.refusal(where, error) from None
    return len(rows)


def read(where: str, quantity: str, model: str | None = None) -> tuple[Point, ...]:
    """Read the points of a quantity, oldest first. A file is opened for reading alone, and nothing in it is trusted.

    Raises:
        UsageError: the database is missing, cannot be read, takes too long, or holds what is no point.
    """
    if "://" not in where and not Path(where).is_file():
        raise UsageError(f"There is no history '{where}'; edgewright gate --history {where} begins one.")
    query = sql.select(_TABLE).where(_TABLE.c.quantity == quantity).order_by(_TABLE.c.at, _TABLE.c.id)
    if model is not None:
        query = query.where(_TABLE.c.model == model)
    try:
        with history_database.engine(where, writable=False).connect() as connection:
            found = connection.execute(query.limit(_MAX_POINTS + 1)).all()
            if len(found) > _MAX_POINTS:
                raise ValueError(f"it holds more than {_MAX_POINTS:,} points of {quantity}; choose one --model")
            commits = _commits(connection)
            points = (_point({k: v for k, v in row._mapping.items() if k != "id"}) for row in found)
            return tuple(
                dataclasses.replace(p, commit=commits.get((p.at, p.model, p.profile, p.device), "")) for p in points
            )
    except (sql.exc.SQLAlchemyError, sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        raise history_database.refusal(where, error) from None


def device(machine: Machine) -> str:
    """Describe a machine for the history by the parts that its figures depend on."""
    board = machine.board or machine.cpu
    return ", ".join([board, f"{machine.cores} cores", *machine.gpus])


def _create(where: str) -> None:
    try:
        _TABLE.metadata.create_all(history_database.engine(where))
    except sql.exc.SQLAlchemyError as error:
        raise history_database.refusal(where, error) from None


def _commits(connection: sql.Connection) -> dict[tuple[object, ...], str]:
    """Read the commits by their runs; none from a history in which none was noted."""
    if not sql.inspect(connection).has_table(_COMMITS.name):
        return {}
    query = sql.select(_COMMITS).order_by(_COMMITS.c.id.desc()).limit(_MAX_POINTS)
    rows = connection.execute(query).all()
    return {
        (row.at, row.model, row.profile, row.device): row.commit_id
        for row in rows
        if isinstance(row.commit_id, str) and len(row.commit_id) <= _LONGEST
    }


def _rows(profile: ProfileResult, at: datetime.datetime) -> list[dict[str, object]]:
    selected = profile.selected
    if selected is None or selected.report is None:
        return []
    report, rows = selected.report, []
    for quantity in report.figures:
        try:
            figure = report.estimate(quantity)
        except NotMeasuredError:
            continue
        rows.append(
            {
                "at": at,
                "model": profile.model,
                "profile": profile.profile,
                "device": device(report.machine),
                "source_sha256": report.artifact.source_sha256,
                "quantity": quantity,
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
                "outcome": profile.outcome if profile.budgets else "measured",
            }
        )
    return rows


def _point(values: dict[str, Any]) -> Point:
    """Make a point of a row, whose values SQLite may hold in any type.

    Raises:
        ValueError: a value is of another type or beyond all bounds.
    """
    for field in dataclasses.fields(Point):
        if field.name == "commit":  # which is in a table of its own
            continue
        value = values[field.name]
        if field.type == "float" and (type(value) not in (int, float) or not abs(value) <= _LARGEST):
            raise ValueError(f"it holds {str(value)[:40]!r} as a {field.name}, which is no figure")
        if field.type == "str" and (not isinstance(value, str) or len(value) > _LONGEST):
            raise ValueError(f"it holds {str(value)[:40]!r} as a {field.name}, which is no name")
        if field.type == "datetime.datetime" and not isinstance(value, datetime.datetime):
            raise ValueError(f"it holds {str(value)[:40]!r} as a time")
    return Point(**values)
