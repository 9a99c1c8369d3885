"""A database from a backup, in one transaction: it is all there, or nothing is."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

from datamodel.admission import Admission, Replay
from datamodel.errors import Conflict, Invalid, NotMigrated
from datamodel.keeping.archive import (
    BaseEntry,
    BaseNode,
    BasePool,
    BaseTotals,
    Key,
    Lease,
    Line,
    Logged,
    Mark,
    Reader,
)
from datamodel.model import Model
from datamodel.ports import Head
from datamodel.postgres.base_rows import move_to, put_rows
from datamodel.postgres.connect import Connection, connect_writer, transient
from datamodel.postgres.refold import BATCH_EVENTS, Refold
from datamodel.postgres.segments import lay_out, make_room
from datamodel.postgres.statements import DEFINE, WRITE, Writes, arguments
from datamodel.postgres.writes import row_writes
from datamodel.state import State, Touched
from datamodel.upcast import restamped_node, upcast_event, upcast_node

SEEDER = "seed:"
"""What the names of those begin with who write the seeds of a new database."""

_TABLES = "events, base_rows, nodes, links, facets, pools, ledger, totals, marks, idempotency, leases"
_INSERT_LEASES = (
    "INSERT INTO leases SELECT name, '', token, '-infinity' FROM unnest($1::text[], $2::bigint[]) AS kept(name, token)"
)


async def restore(url: str, model: Model, backup: Reader) -> Head:
    """Puts the backup in the place of a new database's seeds; returns where its log stands. Nobody's lease is held then, and
    the feed's epoch is a new one, so whoever follows it lists again.

    Raises `NotMigrated` where the database has no tables, `Conflict` where it holds more than seeds, `Invalid` where the
    backup is not whole or does not fit the model, and `Transient` where the database does not answer.
    """
    connection = await connect_writer(url, DEFINE)
    try:
        with transient("write"):
            await _begin(connection, backup)
            head = await _put(connection, model, backup)
            await connection.execute("UPDATE head SET epoch = greatest(epoch, $1)", backup.top.epoch + 1)
            await connection.execute("COMMIT")
            await connection.execute("ANALYZE")
        return head
    finally:
        connection.terminate()


async def _begin(connection: Connection, backup: Reader) -> None:
    await connection.execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
    if await connection.fetchval("SELECT position FROM head FOR UPDATE") is None:
        raise NotMigrated("the log has no head: the database is not migrated")
    others = await connection.fetchval("SELECT count(*) FROM events WHERE NOT starts_with(actor, $1)", SEEDER)
    if others or await connection.fetchval("SELECT position FROM base"):
        raise Conflict(f"the database holds a log of its own, with {others} events: restore into a new one")
    await connection.execute(f"TRUNCATE {_TABLES}")
    await connection.execute("UPDATE head SET position = 0, at = 'epoch'")
    await lay_out(connection, max(backup.top.oldest, 1))
    await move_to(connection, Head(backup.top.oldest, backup.top.oldest_at))


async def _put(connection: Connection, model: Model, backup: Reader) -> Head:
    refold = Refold(model)
    refold.begin(Head(backup.top.oldest, backup.top.oldest_at))
    for lines in _runs(backup.lines()):
        base = _base(model, lines)
        leases = [line for line in lines if isinstance(line, Lease)]
        if base is not None:
            await put_rows(connection, base)
            await connection.execute(WRITE, *arguments(refold.base_writes(base), 0))
        elif leases:
            await connection.execute(
                _INSERT_LEASES, [lease.name for lease in leases], [lease.token for lease in leases]
            )
        else:
            await make_room(connection, refold.position + len(lines))
            await connection.execute(WRITE, *arguments(_writes(model, refold, lines), 0))
    if (refold.position, refold.at) != (backup.top.position, backup.top.at):
        raise Invalid(f"the backup's log ends at {refold.position}, and should at {backup.top.position}", field="file")
    return Head(refold.position, refold.at)


def _runs(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lines of one type that follow each other, so many at a time."""
    for _, same in groupby(lines, key=type):
        while run := list(islice(same, BATCH_EVENTS)):
            yield run


def _base(model: Model, lines: Sequence[Line]) -> State | None:
    """What lines of one type say of the base; None where they say nothing of it."""
    state = State()
    for line in lines:
        match line:
            case BaseNode():
                state.nodes[line.node.path] = restamped_node(model, upcast_node(model, line.node))
            case BasePool():
                state.pools[line.path] = line.pool
            case BaseEntry():
                state.entries[line.entry.owner, line.entry.index] = line.entry.entry()
            case BaseTotals():
                state.totals[line.owner] = line.totals
            case _:
                return None
    return state


def _writes(model: Model, refold: Refold, lines: Sequence[Line]) -> Writes:
    if isinstance(lines[0], Logged):
        events = [upcast_event(model, line.event) for line in lines if isinstance(line, Logged)]
        return refold.writes(events, log=True)
    marks = {line.name: line.through for line in lines if isinstance(line, Mark)}
    keys = {line.key: Replay.of(line.digest, line.outcome) for line in lines if isinstance(line, Key)}
    return row_writes(model, State(), Admission([], [], Touched(), marks, keys), refold.at)
