"""`tendril backup`, `restore`, `rebuild` and `compact`, on the database of `TENDRIL_DATABASE_URL`."""

import re
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import uvloop
from cyclopts import App, Parameter

from datamodel.errors import Invalid, TendrilError
from datamodel.keeping.archive import reading
from datamodel.keeping.backup import backup
from datamodel.keeping.compact import compact
from datamodel.loading import load_model
from datamodel.moments import Moment
from datamodel.postgres.rebuild import rebuild
from datamodel.postgres.restore import restore
from datamodel.postgres.store import PostgresStore
from datamodel.program import calm_collector, database_url
from datamodel.verify import verify

app = App(
    name="tendril",  # its commands are tendril's, and so their help calls them
    help="A whole store into a file, out of one, its projection out of its log, and its log cut short.",
    version_flags=[],
)
_TOLD_EVERY = 100_000
_LONGEST = 15
"""Digits of a position."""
_AGE = re.compile(r"([0-9]{1,5})([smhd])", re.ASCII)
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@app.command(name="backup")
def back_up(file: Annotated[Path, Parameter(help="A new file; by convention NAME.jsonl.gz.")]) -> int:
    """Write everything into a file, as it is at one position, while the system runs."""
    return _run("backup", _back_up(file))


@app.command(name="restore")
def put_back(file: Annotated[Path, Parameter(help="As `backup` wrote it.")]) -> int:
    """Put a backup into a new database, and verify it. Migrate the database first, and start nothing on it before."""
    return _run("restore", _put_back(file))


@app.command(name="rebuild")
def make_anew() -> int:
    """Make the projection anew from the log beside the one in use, put it in its place, and verify it. Everything may run."""
    return _run("rebuild", _make_anew())


@app.command(name="compact")
def forget(
    *,
    before: Annotated[
        str, Parameter(help="A position of the log, or an age in days: `30d`. Reads of it and of what is later go on.")
    ],
    export: Annotated[
        Path | None, Parameter(help="A directory that gets a file of each segment before it is dropped.")
    ] = None,
) -> int:
    """Drop the log's segments before a moment, once they are folded into the base. Everything may run."""
    return _run("compact", _forget(before, export))


async def _back_up(file: Path) -> int:
    async with PostgresStore(database_url(), load_model()) as store:
        head = await backup(store, file)
    _say(f"{file}: position {head.position}, {head.at.isoformat()}")
    return 0


async def _put_back(file: Path) -> int:
    with reading(file) as archive:
        head = await restore(database_url(), load_model(), archive)
    _say(f"restored: position {head.position}, {head.at.isoformat()}")
    return await _verified()


async def _make_anew() -> int:
    def told(position: int) -> None:
        if position % _TOLD_EVERY == 0:
            _say(f"folded {position} events")

    head = await rebuild(database_url(), load_model(), told)
    _say(f"rebuilt: position {head.position}")
    return await _verified()


async def _forget(before: str, directory: Path | None) -> int:
    moment = _moment(before, datetime.now(UTC))
    async with PostgresStore(database_url(), load_model()) as store:
        await store.check_model()
        oldest = await compact(store, moment, f"compact/{uuid4().hex}", directory=directory, told=_say)
    _say(f"the graph is kept from position {oldest} on")
    return 0


def _moment(text: str, now: datetime) -> Moment:
    """Raises `Invalid` for what is neither a position nor an age."""
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST:
        return int(text)
    found = _AGE.fullmatch(text)
    if found is None:
        raise Invalid(f"--before: {text!r} is neither a position nor an age like 12h or 30d", field="--before")
    return now - int(found[1]) * _UNITS[found[2]]


async def _verified() -> int:
    async with PostgresStore(database_url(), load_model()) as store:
        report = await verify(store)
    _say(str(report))
    return 0 if report.clean else 1


def _run(name: str, program: Coroutine[Any, Any, int]) -> int:
    calm_collector()
    try:
        return uvloop.run(program)
    except TendrilError as error:
        sys.stderr.write(f"{name}: {error.message}\n")
        return 2


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(app())
