"""A store into a file, as it was at one position, while it moves on."""

from collections.abc import Iterator
from pathlib import Path

from datamodel.keeping.archive import (
    FORMAT,
    Based,
    BaseEntry,
    BaseNode,
    BasePool,
    BaseTotals,
    Key,
    Lease,
    Logged,
    Mark,
    Top,
    writing,
)
from datamodel.ledger import Counted
from datamodel.model import Model
from datamodel.ports import Head, Snapshots
from datamodel.state import State
from datamodel.upcast import restamped, restamped_node


async def backup(store: Snapshots, path: Path) -> Head:
    """Writes the base, the log from there on, and what is kept beside it; the projection follows from these. Returns where the
    log stood. Raises `Invalid` where the file exists, `Transient` where the store does not answer; then no file is left."""
    async with store.snapshot() as snapshot:
        head, oldest = snapshot.head, snapshot.oldest
        top = Top(FORMAT, head.position, head.at, await snapshot.epoch(), oldest.position, oldest.at)
        with writing(path, top) as file:
            async for base in snapshot.base():
                for line in _lines(store.model, base):
                    file.put(line)
            async for event in snapshot.events(after=oldest.position):
                file.put(Logged(restamped(store.model, event)))
            async for name, through in snapshot.marks():
                file.put(Mark(name, through))
            async for name, token in snapshot.tokens():
                file.put(Lease(name, token))
            async for key, (digest, outcome) in snapshot.replays():
                file.put(Key(key, digest, outcome))
        return head


def _lines(model: Model, base: State) -> Iterator[Based]:
    for node in base.nodes.values():
        yield BaseNode(restamped_node(model, node))
    for path, pool in base.pools.items():
        yield BasePool(path, pool)
    for entry in base.entries.values():
        yield BaseEntry(Counted.of(entry))
    for owner, totals in base.totals.items():
        yield BaseTotals(owner, totals)
