"""History: figures of a model on a device over time, in an SQLite file or any database that SQLAlchemy opens."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sql

from hwbench.machine.identity import Machine
from hwbench.measurements.report import NotMeasuredError
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


@dataclass(frozen=True)
class Point:
    """One figure of one run.

    Attributes:
        at: time of the run in UTC, without a time zone.
        device: description of the machine.
        outcome: outcome of all budgets of that run; "measured" if there were none.
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
    made = is_file and not Path(where).exists()
    try:
        _create(where)
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # it could not be made
                Path(where).unlink()
        raise


def record(where: str, results: Results, at: datetime.datetime | None = None) -> int:
    """Add the figures of each profile's selected candidate; return their number.

    Args:
        where: a file's path, or an SQLAlchemy URL.
        results: the results of a measurement.
        at: time of the run; now, if None.

    Raises:
        UsageError: the database cannot be opened or written.
    """
    now = at or datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    rows = [row for profile in results.profiles for row in _rows(profile, now)]
    _create(where)
    try:
        with _engine(where).begin() as connection:
            if rows:
                connection.execute(sql.insert(_TABLE), rows)
    except sql.exc.SQLAlchemyError as error:
        raise _cannot(where, error) from None
    return len(rows)


def read(where: str, quantity: str, model: str | None = None) -> tuple[Point, ...]:
    """Read the points of a quantity, oldest first.

    Raises:
        UsageError: the database is missing, or cannot be read.
    """
    if "://" not in where and not Path(where).is_file():
        raise UsageError(f"There is no history '{where}'; edgewright gate --history {where} begins one.")
    query = sql.select(_TABLE).where(_TABLE.c.quantity == quantity).order_by(_TABLE.c.at, _TABLE.c.id)
    if model is not None:
        query = query.where(_TABLE.c.model == model)
    try:
        with _engine(where).connect() as connection:
            return tuple(
                Point(**{k: v for k, v in row._mapping.items() if k != "id"}) for row in connection.execute(query)
            )
    except sql.exc.SQLAlchemyError as error:
        raise _cannot(where, error) from None


def device(machine: Machine) -> str:
    """Describe a machine for the history by the parts that its figures depend on."""
    board = machine.board or machine.cpu
    return ", ".join([board, f"{machine.cores} cores", *machine.gpus])


def _create(where: str) -> None:
    try:
        _TABLE.metadata.create_all(_engine(where))
    except sql.exc.SQLAlchemyError as error:
        raise _cannot(where, error) from None


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


def _engine(where: str) -> sql.Engine:
    try:
        return sql.create_engine(where if "://" in where else f"sqlite:///{where}")
    except (sql.exc.SQLAlchemyError, ImportError) as error:  # a driver that is not installed
        raise _cannot(where, error) from None


def _cannot(where: str, error: Exception) -> UsageError:
    reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
    shown = where.rpartition("@")[2]  # a URL may hold a password
    return UsageError(f"The history '{shown}' cannot be used: {reason}.")
