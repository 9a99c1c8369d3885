"""Two ways through one transaction of the log, with one result.

`transact` locks, reads what is not known, admits, writes what changed, and commits. `decide` admits by what the process
remembers, before it has the lock, for a writing that fails where somebody else has written what that rests on: one round trip,
and Python thinks about the next batch while the database writes the last one. Writers that have nothing to do with each other
do not disturb each other; where one was first, the other's positions are further on than it thought.

Positions come from the one row of `head`, under its lock, so what is committed is always a contiguous prefix and a reader
needs nothing but `position > mine`.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datamodel.admission import Admission
from datamodel.command import Unit
from datamodel.identifiers import identifiers
from datamodel.model import Model
from datamodel.needs import Needs, needs
from datamodel.ports import Change
from datamodel.postgres.clock import Clock
from datamodel.postgres.connect import Connection
from datamodel.postgres.present import Present, read_present
from datamodel.postgres.recent import changes_of
from datamodel.postgres.remembered import LIMIT_CHANGES, Remembered, claimed_guards
from datamodel.postgres.statements import WRITE, arguments, literal
from datamodel.postgres.writes import Rests, guard_writes, row_writes, size_bytes
from datamodel.rulebook import admit


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided after a position by what is remembered: it stands if `WRITE` succeeds with these arguments, and if what
    is remembered is of the same `era` still when its turn comes."""

    era: int
    after: int
    now: datetime
    admission: Admission
    changes: list[Change]
    arguments: list[Any]


def decide(model: Model, units: Sequence[Unit], remembered: Remembered) -> Decision | None:
    """A decision that what is remembered follows already, or None where it does not suffice for one."""
    wanted = needs(model, units)
    if not remembered.suffices(wanted, units):
        return None
    assert remembered.clock is not None, "it suffices"
    guards, now = claimed_guards(units), remembered.clock.now()
    after = remembered.position
    absent = wanted.created.difference(remembered.state.nodes)  # that they are is judged by their table's key
    rests = Rests(after, remembered.event, wanted.nodes - absent, _derived_from(model, wanted))
    admission = admit(model, remembered.state, guards, units, after, now, identifiers(now))
    if not wanted.created <= remembered.known.nodes and _refuses(admission):
        remembered.state.revert(admission.touched)  # a node that was taken for new may be there, and the refusal wrong
        return None
    writes = row_writes(model, remembered.state, admission, now)
    size = size_bytes(writes)
    remembered.admitted(admission, after, size)
    changes = changes_of(admission, remembered.state, size)
    return Decision(
        remembered.era, after, now, admission, changes, arguments({**guard_writes(guards, rests, now), **writes}, after)
    )


def _derived_from(model: Model, wanted: Needs) -> list[str]:
    """The kinds whose nodes change the rows beside them that are wanted: pools and the ledger."""
    if not (wanted.pools or wanted.entries or wanted.owners):
        return []
    return [name for name, kind in model.kinds.items() if kind.offer or kind.reserve or kind.settle]


def _refuses(admission: Admission) -> bool:
    return any(verdict.error is not None for outcome in admission.outcomes for verdict in outcome)


async def transact(
    connection: Connection, model: Model, units: Sequence[Unit], remembered: Remembered
) -> tuple[Admission, list[Change]]:
    """Admits units in one transaction on a connection of its own; what it returns is durable: what was decided, and what
    that changed.

    Where it raises, the connection is left in a transaction of unknown state and must be closed, and what was remembered
    through it forgotten.
    """
    wanted = needs(model, units)
    await connection.execute(_locks(wanted.leases))
    asked_s = time.monotonic()
    if wanted.removes:
        present = await read_present(connection, model, wanted)
        state = present.rows
    else:
        present = await _catch_up(connection, model, wanted, remembered)
        state = remembered.state
    admission = admit(model, state, present.guards, units, present.position, present.now, identifiers(present.now))
    writes = row_writes(model, state, admission, present.now)
    size = size_bytes(writes)
    if state is remembered.state:
        remembered.clock, remembered.event = Clock(present.now, asked_s), present.event
        remembered.admitted(admission, present.position, size)
    await connection.execute(WRITE, *arguments(writes, 0))
    await connection.execute("COMMIT")
    return admission, changes_of(admission, state, size)


async def _catch_up(connection: Connection, model: Model, wanted: Needs, remembered: Remembered) -> Present:
    """Brings what is remembered to the present, with all wanted rows in it."""
    missing = remembered.missing(wanted)
    limit = LIMIT_CHANGES if remembered.known.rows else 0
    present = await read_present(connection, model, missing, since=remembered.position, changes=limit)
    if limit and (len(present.changed) == limit or remembered.position < present.oldest):
        remembered.clear()  # what changed since is more than is told
    else:
        remembered.forget(present.changed)
    remembered.learn(missing, present.rows, present.size_bytes)
    stale = remembered.missing(wanted)
    if stale.rows:
        again = await read_present(connection, model, stale)
        remembered.learn(stale, again.rows, again.size_bytes)
    return present


def _locks(leases: Collection[str]) -> str:
    """Begins, and takes the log's lock. The leases' row locks make an acquisition wait for this commit: an old token is
    never admitted after a new one is granted."""
    script = "BEGIN; SELECT FROM head FOR UPDATE"
    if leases:
        names = ", ".join(literal(name) for name in sorted(leases))
        script += f"; SELECT FROM leases WHERE name IN ({names}) ORDER BY name FOR SHARE"
    return script
