"""The store in memory: a verified fake. It stands behind the same port, rule book and contract suite as Postgres.

It keeps what was sent and not the sender's objects: bodies and events go through JSON, as they do on the way to a database.
No method waits for anything, so each is one step of the event loop and needs no lock.
"""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from datamodel.admission import Admission, Guards, Replay
from datamodel.command import Outcome, Unit
from datamodel.errors import not_kept
from datamodel.event import Event
from datamodel.ledger import ALL, Entry, Totals, pieces_of
from datamodel.memory_history import MemoryHistory
from datamodel.memory_leases import HeldLease, MemoryLeases
from datamodel.memory_segments import Base, MemorySegments
from datamodel.memory_snapshot import Beside, MemorySnapshot
from datamodel.memory_walks import MemoryWalks
from datamodel.model import Model
from datamodel.names import is_within
from datamodel.needs import Needs, needs
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Change, Head, Placement, Snapshot
from datamodel.rulebook import admit
from datamodel.segments import SEGMENT_POSITIONS, Segment
from datamodel.state import State
from datamodel.upcast import upcast_event, upcast_node

EVENTS_OPEN = 4_096
"""So many of the events that were read last need not be decoded again."""
QUARANTINE_LIMIT = 10_000
IDEMPOTENCY_KEPT = timedelta(hours=24)

_encode = msgspec.json.Encoder().encode
_unit = msgspec.json.Decoder(Unit).decode
_event = msgspec.json.Decoder(Event).decode


class Copy(msgspec.Struct, frozen=True):
    """All that a store held at a moment. Rows are never changed in place, so the tables' keys are enough."""

    tables: tuple[dict[Any, Any], ...]
    events: list[bytes]
    head: Head
    epoch: int
    base: Base
    segments: list[Segment]


class MemoryStore(MemoryHistory, MemoryLeases, MemorySegments, MemoryWalks):
    """A store whose clock and source of identifiers (32 hexadecimal digits each) are given. It is lost with its process. Its
    log comes in segments of `segment_positions`."""

    def __init__(
        self,
        model: Model,
        clock: Callable[[], datetime],
        ids: Iterator[str],
        segment_positions: int = SEGMENT_POSITIONS,
    ) -> None:
        self._model, self._clock, self._ids = model, clock, ids
        self.state = State()
        """The projection; open to tests that plant corruption."""
        self._events: list[bytes] = []
        self._opened = lru_cache(EVENTS_OPEN)(_event)
        self._head = Head(position=0, at=datetime(1970, 1, 1, tzinfo=UTC))
        self.base = Base(self._head, State())
        """Where the kept log begins."""
        self._segment_positions = segment_positions
        self._segments = [Segment(1, segment_positions - 1)]
        self._epoch = 0
        self._leases: dict[str, HeldLease] = {}
        self._marks: dict[str, int] = {}
        self._keys: dict[str, tuple[Replay, datetime]] = {}
        self._quarantine: dict[int, tuple[str, str, bytes]] = {}
        self._quarantine_ids = itertools.count(1)

    @property
    def model(self) -> Model:
        return self._model

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        sent = [_unit(_encode(unit)) for unit in units]
        now = max(self._head.at, self._clock())
        try:
            admission = admit(
                self._model,
                self.state,
                self._guards(needs(self._model, sent)),
                sent,
                self._head.position,
                now,
                self._ids,
            )
        except BaseException:
            self.state.rollback(0)
            raise
        self._keep(admission, now)
        return admission.outcomes

    def _guards(self, wanted: Needs) -> Guards:
        return Guards(
            leases={name: lease.token for name in wanted.leases if (lease := self._held(name)) is not None},
            marks=self._marks,
            keys={key: self._keys[key][0] for key in wanted.keys & self._keys.keys()},
            uids=wanted.uids & {node.uid for node in self.state.nodes.values()} if wanted.uids else frozenset(),
        )

    def _keep(self, admission: Admission, now: datetime) -> None:
        if admission.events:
            self._events.extend(_encode(event) for event in admission.events)
            self._head = Head(admission.events[-1].position, now)
            self._room_through(self._head.position)
        self._marks.update(admission.marks)
        self._keys.update((key, (replay, now)) for key, replay in admission.keys.items())

    async def head(self) -> Head:
        return self._head

    async def events(self, after: int, limit: int) -> list[Event]:
        return [upcast_event(self._model, self._opened(event)) for event in self._stored(after + 1, limit)]

    async def changes(self, after: int, limit: int) -> list[Change]:
        return [self._change(self._opened(event)) for event in self._stored(after + 1, limit)]

    def others_wrote(self) -> None:
        """Nobody else can."""

    async def living(self, after: str, limit: int) -> list[Change]:
        found = sorted(path for path in self.state.nodes if path > after)[:limit]
        nodes = [self.state.nodes[path] for path in found]
        return [Change(node.version, "", node.path, node.uid, node.kind, node) for node in nodes]

    async def count_nodes(self) -> int:
        return len(self.state.nodes)

    async def event_id(self, position: int) -> str | None:
        return self._event_id(position)

    def _event_id(self, position: int) -> str | None:
        found = self._stored(position, 1) if position >= self._first else []
        return self._opened(found[0]).id if found else None

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]:
        return {path: self.state.nodes[path] for path in paths if path in self.state.nodes}

    async def nodes_of(self, uids: Collection[str]) -> dict[str, Node]:
        return {node.uid: node for node in self.state.nodes.values() if node.uid in uids}

    def recall_node(self, path: str) -> Node | None:
        return self.state.nodes.get(path)

    def recall_totals(self, owner: str) -> Totals | None:
        return self.state.totals.get(owner)

    async def list_nodes(
        self, kind: str, *, under: str = "", after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> list[Node]:
        found = (
            node
            for node in self._of_kind(kind, after)
            if node.path != under and is_within(node.path, under) and (not phases or node.phase in phases)
        )
        return list(itertools.islice(found, limit))

    async def linked(self, kind: str, link: str, target: str, *, after: str = "", limit: int = 100) -> list[Node]:
        found = (node for node in self._of_kind(kind, after) if target in node.links.get(link, ()))
        return list(itertools.islice(found, limit))

    async def places_linking(
        self, kind: str, link: str, targets: Collection[str], *, limit: int = 1000
    ) -> dict[str, list[str]]:
        places: dict[str, dict[str, None]] = {target: {} for target in targets}
        for node in self._of_kind(kind, ""):
            for target in places.keys() & node.links.get(link, ()):
                places[target][self._model.locate(node.path)[1]] = None
        return {target: list(found)[:limit] for target, found in places.items()}

    async def dangling(self, kind: str, link: str, *, after: str = "", limit: int = 100) -> list[Node]:
        living = {node.uid for node in self.state.nodes.values()}
        found = (node for node in self._of_kind(kind, after) if not living.issuperset(node.links.get(link, ())))
        return list(itertools.islice(found, limit))

    async def deleting(self, *, after: str = "", limit: int = 100) -> list[Node]:
        found = (path for path, node in self.state.nodes.items() if node.deletion_requested_at is not None)
        return [self.state.nodes[path] for path in sorted(path for path in found if path > after)[:limit]]

    async def pools(self, paths: Collection[str]) -> dict[str, Pool]:
        return {path: self.state.pools[path] for path in paths if path in self.state.pools}

    async def totals(self, owners: Collection[str]) -> dict[str, Totals]:
        return {owner: self.state.totals[owner] for owner in owners if owner in self.state.totals}

    async def entries(
        self, owner: str, *, phases: Collection[str] = (), after: int = -1, limit: int = 1000
    ) -> list[Entry]:
        found = (entry for entry in self._owned(owner) if entry.index > after)
        return list(itertools.islice((entry for entry in found if not phases or entry.phase in phases), limit))

    async def first_entries(self, owners: Collection[str], phase: str, limit: int) -> dict[str, list[Entry]]:
        return {owner: await self.entries(owner, phases=(phase,), limit=limit) for owner in owners}

    async def placements(self, owners: Collection[str]) -> dict[str, list[Placement]]:
        return {owner: self._placements(owner) for owner in owners}

    def _placements(self, owner: str) -> list[Placement]:
        entries, progress, failures = (Counter[tuple[str, str]]() for _ in range(3))
        for entry in self._owned(owner):
            _, place = self._model.locate(entry.holder)
            entries[place, entry.phase] += 1
            progress[place, entry.phase] += entry.progress
            failures[place, entry.phase] += entry.failures
        return [Placement(*key, entries[key], progress[key], failures[key]) for key in sorted(entries)]

    async def count_by_phase(self, kind: str) -> dict[str, int]:
        return dict(Counter(node.phase for node in self.state.nodes.values() if node.kind == kind))

    async def sum_totals(self) -> Totals:
        return self.state.totals.get(ALL, Totals())

    async def sum_pieces(
        self, kind: str, spec: str, status: Sequence[str], phases: Collection[str]
    ) -> tuple[int, Totals]:
        found = [node for node in self.state.nodes.values() if node.kind == kind and node.phase in phases]
        totals = [self.state.totals[node.uid] for node in found if node.uid in self.state.totals]
        return sum(pieces_of(node.spec, node.status, spec, status) for node in found), Totals.sum(totals)

    async def marks(self, names: Collection[str]) -> dict[str, int]:
        return {name: self._marks[name] for name in names if name in self._marks}

    async def quarantine(self, source: str, reason: str, body: bytes) -> None:
        self._quarantine[next(self._quarantine_ids)] = (source, reason, body)

    async def quarantined(self) -> int:
        return len(self._quarantine)

    async def epoch(self) -> int:
        return self._epoch

    async def set_epoch(self, epoch: int) -> None:
        self._epoch = max(self._epoch, epoch)

    async def sweep(self, limit: int) -> int:
        old = self._clock() - IDEMPOTENCY_KEPT
        orphans = [key for key in self.state.entries if key[0] not in self.state.totals][:limit]
        expired = [key for key, (_, at) in self._keys.items() if at < old][:limit]
        surplus = list(self._quarantine)[:-QUARANTINE_LIMIT]
        for entry in orphans:
            del self.state.entries[entry]
        for key in expired:
            del self._keys[key]
        for number in surplus:
            del self._quarantine[number]
        return len(orphans) + len(expired) + len(surplus)

    def copy(self) -> Copy:
        tables = tuple(table.copy() for table in self._tables)
        return Copy(tables, self._events.copy(), self._head, self._epoch, self.base, self._segments.copy())

    def put_back(self, copy: Copy) -> None:
        """The store is as it was when the copy was made: what was written since is lost."""
        for table, former in zip(self._tables, copy.tables, strict=True):
            table.clear()
            table.update(former)
        nodes = self.state.nodes  # of the copy's model, which may have been an older one
        nodes.update((path, upcast_node(self._model, node)) for path, node in nodes.items())
        self._events, self._head, self._epoch = copy.events.copy(), copy.head, copy.epoch
        self.base, self._segments = copy.base.upcast(self._model), copy.segments.copy()

    @property
    def _tables(self) -> tuple[dict[Any, Any], ...]:
        state = self.state
        return (
            *(state.nodes, state.pools, state.entries, state.totals),
            *(self._leases, self._marks, self._keys, self._quarantine),
        )

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        tokens = {name: lease.token for name, lease in self._leases.items()}
        replays = {key: replay for key, (replay, _) in self._keys.items()}
        beside = Beside(self._epoch, self._marks.copy(), tokens, replays)
        yield MemorySnapshot(self._model, self._head, self._events.copy(), self.state, beside, self.base)

    def _of_kind(self, kind: str, after: str = "") -> Iterator[Node]:
        """In order of path."""
        paths = sorted(path for path, node in self.state.nodes.items() if node.kind == kind and path > after)
        return (self.state.nodes[path] for path in paths)

    def _owned(self, owner: str) -> list[Entry]:
        """In order of index."""
        return [self.state.entries[key] for key in sorted(key for key in self.state.entries if key[0] == owner)]

    def _stored(self, first: int, limit: int) -> list[bytes]:
        """Events from a position on, so many at most."""
        skipped = first - self._first
        if skipped < 0:
            raise not_kept(first, self.base.head.position)
        return self._events[skipped : skipped + limit]

    def _change(self, event: Event) -> Change:
        node = self.state.nodes.get(event.path)
        present = node if node is not None and node.uid == event.uid else None
        told = event.position, event.id, event.path, event.uid, event.kind, present, 0, event.correlation
        return Change(*told)
