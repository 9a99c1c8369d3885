"""A store into a file, as it was at one position, while it moves on."""

from pathlib import Path

from datamodel.keeping.archive import FORMAT, Key, Lease, Logged, Mark, Top, writing
from datamodel.ports import Head, Snapshots
from datamodel.upcast import restamped


async def backup(store: Snapshots, path: Path) -> Head:
    """Writes the log and what is kept beside it; the projection follows from the log. Returns where the log stood. Raises
    `Invalid` where the file exists, `Transient` where the store does not answer; then no file is left."""
    async with store.snapshot() as snapshot:
        head = snapshot.head
        with writing(path, Top(FORMAT, head.position, head.at, await snapshot.epoch())) as file:
            async for event in snapshot.events():
                file.put(Logged(restamped(store.model, event)))
            async for name, through in snapshot.marks():
                file.put(Mark(name, through))
            async for name, token in snapshot.tokens():
                file.put(Lease(name, token))
            async for key, (digest, outcome) in snapshot.replays():
                file.put(Key(key, digest, outcome))
        return head
