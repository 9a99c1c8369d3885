"""Watching a running system: what it appends is audited as it comes, and what it stores is compared with the audit."""

import asyncio
from collections.abc import Callable, Iterable

from datamodel.audit import Audit
from datamodel.errors import Transient
from datamodel.feed.bus import honour_cancellation
from datamodel.feed.relayed import Relayed
from datamodel.ports import Snapshot, Snapshots
from datamodel.rows import Keys
from datamodel.verify import verify

PAUSE_S = 1.0
"""Between two looks at the log, at most; each has a connection of its own."""
ROWS = 5_000
"""Compared at once."""
SHOWN = 100
"""The most violations that one look tells; all are counted."""


class Watch:
    """An audit that goes on for ever, from a full verification. It keeps the graph's books in memory. `say` takes one line."""

    def __init__(self, store: Snapshots, say: Callable[[str], object], feed: Relayed | None = None) -> None:
        self._store = store
        self._say = say
        self._feed = feed
        self._audit: Audit | None = None
        self._touched = Keys()
        """Not compared yet."""
        self._changed: set[str] = set()
        """Nodes that changed since the feed was looked at."""
        self._away = False
        self._feed_answers = True
        self._events = self._rows = self._behind = self._found_before = self._told = 0
        self.found = 0
        """How many violations there were so far."""

    async def run(self, every_s: float) -> None:
        """Looks at the log again and again, until it is cancelled; says a line every `every_s` seconds."""
        now_s = asyncio.get_running_loop().time
        due_s = now_s() + every_s
        while True:
            await self.look()
            honour_cancellation()
            if now_s() >= due_s:
                self._say(self._line())
                due_s = now_s() + every_s
            await asyncio.sleep(min(PAUSE_S, every_s))

    async def look(self) -> None:
        """Takes in what was appended since the last time, and tells what should not be so. A database that does not answer is
        waited for, and one that is another than before is verified from its beginning."""
        self._told = 0
        await self._look()
        if self._told > SHOWN:
            self._say(f"VIOLATION … and {self._told - SHOWN} more")

    async def _look(self) -> None:
        try:
            if self._audit is None:
                await self._begin()
            else:
                await self._follow(self._audit)
        except Transient as error:
            if not self._away:
                self._say(f"the database is away: {error.message}")
            self._away = True
            return
        if self._away:
            self._say("the database is back")
            self._away = False
        if self._audit is not None and self._feed is not None:
            await self._compare_feed(self._audit, self._feed)

    async def _begin(self) -> None:
        audit = Audit(self._store.model)
        report = await verify(self._store, audit)
        self._say(str(report))
        self.found += report.found
        self._audit, self._touched = audit, Keys()
        self._changed = audit.paths
        if self._feed is not None:
            self._feed.forget()

    async def _follow(self, audit: Audit) -> None:
        async with self._store.snapshot() as snapshot:
            self._behind = max(self._behind, snapshot.head.position - audit.head.position)
            replaced = await self._take(audit, snapshot)
            if not replaced:
                await self._compare(audit, snapshot)
        if replaced:
            self._say(f"this is another database than before, beginning anew: {replaced}")
            self._audit = None

    async def _take(self, audit: Audit, snapshot: Snapshot) -> str:
        """Steps through the new events; why the log is not the one that was followed so far, if it is not. The last known event
        is read again each time, since a restored database may have grown past its position."""
        known, event_id = audit.head.position, audit.event_id
        if snapshot.head.position < known:
            return f"its log ends at {snapshot.head.position}, and went to {known}"
        if known < snapshot.oldest.position:
            return f"its log is kept from {snapshot.oldest.position} on, and was followed to {known}"
        recognized = not known
        async for event in snapshot.events(after=max(0, known - 1)):
            if not recognized:
                if (event.position, event.id) != (known, event_id):
                    break
                recognized = True
                continue
            self._tell(audit.step(event))
            self._touched.touch(self._store.model, event)
            self._events += 1
        if not recognized:
            return f"its event {known} is not {event_id}"
        if audit.head != snapshot.head:
            self._tell([f"head: stands at {snapshot.head}, the log ends at {audit.head}"])
        return ""

    async def _compare(self, audit: Audit, snapshot: Snapshot) -> None:
        for keys in self._touched.parts(ROWS):
            self._tell(audit.compare(await snapshot.rows(keys), keys))
            self._rows += len(keys)
        if self._feed is not None:
            self._changed |= self._touched.nodes
        self._touched = Keys()

    async def _compare_feed(self, audit: Audit, feed: Relayed) -> None:
        try:
            self._tell(await feed.compare(audit, self._changed))
            self._feed_answers = True
        except Transient:
            self._feed_answers = False
        self._changed = set()

    def _tell(self, violations: Iterable[str]) -> None:
        """Says them at once: what comes after may fail, and they would not be found again."""
        for violation in violations:
            self.found += 1
            self._told += 1
            if self._told <= SHOWN:
                self._say(f"VIOLATION {violation}")

    def _line(self) -> str:
        """What happened since the last line."""
        position = self._audit.head.position if self._audit is not None else 0
        held = "all held" if self.found == self._found_before else f"{self.found - self._found_before} VIOLATIONS"
        line = f"position {position}: {self._events} events, {self._rows} rows compared, {held}; up to {self._behind} behind"
        if self._feed is not None:
            state = f"{max(0, self._feed.behind)} behind, {self._feed.compared} compared"
            line += f"; feed {state if self._feed_answers else 'does not answer'}"
            self._feed.compared = 0
        self._events = self._rows = self._behind = 0
        self._found_before = self.found
        return line
