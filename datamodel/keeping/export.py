"""A segment of the log in a file, before it is dropped: `events-FIRST-LAST.jsonl.gz`, with the lines of a backup."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.keeping.archive import SEGMENT_FORMAT, Logged, Top, reading, writing
from datamodel.ports import Store
from datamodel.segments import Segment
from datamodel.upcast import restamped

BATCH_EVENTS = 1_000


Hold = Callable[[], Awaitable[None]]
"""Raises `Conflict` where somebody else has taken over."""


async def export(store: Store, segment: Segment, directory: Path, hold: Hold) -> Path:
    """A file with all events of a full segment, whole and on the disk; one that was written before is good enough if it holds
    them. `hold` is called every few moments. Raises `Invalid` where the file does not hold them, where what was written cannot
    be read again, and where nothing can be written; then nothing may be dropped."""
    path = directory / f"events-{segment.first}-{segment.last}.jsonl.gz"
    try:
        if not path.exists():
            await _write(store, segment, path, hold)
        await _check(store, segment, path)
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}", field="export") from error
    return path


async def _write(store: Store, segment: Segment, path: Path, hold: Hold) -> None:
    (last,) = await store.events(segment.last - 1, 1)
    after = segment.first - 1
    with writing(path, Top(SEGMENT_FORMAT, last.position, last.at, await store.epoch(), oldest=segment.first)) as file:

        def put(events: Sequence[Event]) -> None:
            for event in events:
                file.put(Logged(restamped(store.model, event)))

        while after < segment.last:
            events = await store.events(after, min(BATCH_EVENTS, segment.last - after))
            await asyncio.to_thread(put, events)  # compressing a batch takes longer than anybody else can wait
            after = events[-1].position
            await hold()


async def _check(store: Store, segment: Segment, path: Path) -> None:
    """The file is of this very log, and has every position once."""
    ends = [await store.event_id(segment.first), await store.event_id(segment.last)]
    if await asyncio.to_thread(_ends, path, segment) != ends:
        raise Invalid(f"{path} holds the events of another log: move it away", field="export")


def _ends(path: Path, segment: Segment) -> list[str | None]:
    """The ids of the first and the last event of a file."""
    first, position, event_id = None, segment.first - 1, None
    with reading(path, (SEGMENT_FORMAT,)) as archive:
        for line in archive.lines():
            if not isinstance(line, Logged) or line.event.position != position + 1:
                raise Invalid(f"{path} does not go on after position {position}: move it away", field="export")
            position, event_id = line.event.position, line.event.id
            first = first or event_id
    if position != segment.last:
        raise Invalid(f"{path} ends at position {position}: move it away", field="export")
    return [first, event_id]
