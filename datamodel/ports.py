"""The ports: what the programs may ask of the store and the feed. Adapters: `memory`, `postgres/`, `feed/`."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from datamodel.admission import Kept
from datamodel.command import Outcome, Unit
from datamodel.event import Event
from datamodel.history import History
from datamodel.lease import Lease
from datamodel.ledger import Entry, Ledgers, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.rows import Keys, Rows
from datamodel.segments import Segments
from datamodel.state import State
from datamodel.walk import Walks


class Head(msgspec.Struct, frozen=True):
    """The end of the log: the last position and the time of its event."""

    position: int
    at: datetime


class Change(msgspec.Struct, frozen=True, gc=False):
    """A node that changed at a position: `node` is its image then or a later one, None where it went with this change; where
    it is gone since, one of both. `size_bytes` is about what the image takes as JSON, for who keeps it. `correlation` is
    the event's."""

    position: int
    event_id: str
    path: str
    uid: str
    kind: str
    node: Node | None
    size_bytes: int = 0
    correlation: str = ""


class Placement(msgspec.Struct, frozen=True):
    """How many of an owner's entries are held in one place (the parent of their holders) in one phase, and sums over them."""

    place: str
    phase: str
    entries: int
    progress: int
    failures: int = 0


class Log(Protocol):
    """Appends and reads the events."""

    @property
    def model(self) -> Model: ...

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        """Admits prepared units in one durable transaction. Raises `Transient` where it is unknown whether it happened."""
        ...

    async def head(self) -> Head: ...

    async def events(self, after: int, limit: int) -> list[Event]:
        """Events in order of position, from `after + 1` on. Raises `Gone` where that one is not kept any more."""
        ...

    async def changes(self, after: int, limit: int) -> list[Change]:
        """One change for each event from `after + 1` on, in order: `limit` of them, or as many as there are. What others
        wrote may be missing where there is more than one, unless `others_wrote` was told; it comes with the next call. Raises
        `Gone` where that event is not kept any more."""
        ...

    def others_wrote(self) -> None:
        """Somebody else has appended: the next reading of changes must not miss it."""
        ...

    async def living(self, after: str, limit: int) -> list[Change]:
        """The present nodes in order of path, above the path `after`, each at the position of its version."""
        ...

    async def count_nodes(self) -> int:
        """How many nodes there are."""
        ...

    async def event_id(self, position: int) -> str | None:
        """The id of the event at a position, None where there is none, or none any more."""
        ...


class Graph(Ledgers, Protocol):
    """Reads the projection."""

    async def nodes(self, paths: Collection[str]) -> dict[str, Node]:
        """The nodes that exist among these paths."""
        ...

    async def nodes_of(self, uids: Collection[str]) -> dict[str, Node]:
        """The nodes that exist among these uids."""
        ...

    def recall_node(self, path: str) -> Node | None:
        """The node, where it is known without asking that it is so and nobody else was heard of since: good enough for who
        writes with an expected version, and is woken by what is heard. None where it is not known."""
        ...

    def recall_totals(self, owner: str) -> Totals | None:
        """An owner's totals in the same way."""
        ...

    async def list_nodes(
        self, kind: str, *, under: str = "", after: str = "", limit: int = 100, phases: Collection[str] = ()
    ) -> list[Node]:
        """Nodes of a kind below a path (empty: anywhere) in order of path, above the path `after`; `phases` filters by
        `status.phase` (a missing phase counts as empty)."""
        ...

    async def linked(self, kind: str, link: str, target: str, *, after: str = "", limit: int = 100) -> list[Node]:
        """Nodes of a kind whose link has this uid among its targets, in order of path."""
        ...

    async def places_linking(
        self, kind: str, link: str, targets: Collection[str], *, limit: int = 1000
    ) -> dict[str, list[str]]:
        """For each of these uids, the parents of the nodes of a kind whose link leads there, each once. It reads one node for
        each of them; `limit` holds for each uid."""
        ...

    async def dangling(self, kind: str, link: str, *, after: str = "", limit: int = 100) -> list[Node]:
        """Nodes of a kind of whose link a target is gone, in order of path."""
        ...

    async def deleting(self, *, after: str = "", limit: int = 100) -> list[Node]:
        """Nodes whose deletion was requested and that are still there, in order of path."""
        ...

    async def pools(self, paths: Collection[str]) -> dict[str, Pool]: ...

    async def placements(self, owners: Collection[str]) -> dict[str, list[Placement]]:
        """Where the entries of each of these owners are held, in order of place and phase."""
        ...

    async def count_by_phase(self, kind: str) -> dict[str, int]:
        """How many nodes of a kind are in each `status.phase`."""
        ...


class Leases(Protocol):
    """Exclusive rights by name, for a time that the store's clock judges, each acquisition with a higher token. No token is
    given twice, also where the store is put back to an older state meanwhile."""

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        """Takes the free or expired ones, renews the ones held already; returns the tokens of all that `holder` has now.
        `ttl_s` is at most `datamodel.lease.LEASE_LIMIT_S`."""
        ...

    async def renew(self, prefixes: Collection[str], holder: str, ttl_s: float) -> dict[str, Lease]:
        """By name, all leases that are held and whose names begin with one of `prefixes`; those that `holder` has are renewed.
        `ttl_s` is at most `datamodel.lease.LEASE_LIMIT_S`."""
        ...

    async def release(self, names: Collection[str], holder: str) -> None: ...


class Bookkeeping(Protocol):
    """What is stored beside the log and is no fact of the graph."""

    async def marks(self, names: Collection[str]) -> dict[str, int]:
        """How far each numbered source has been taken in; a missing mark stands at 0."""
        ...

    async def quarantine(self, source: str, reason: str, body: bytes) -> None:
        """Keeps what could not be understood, bounded in number and size, for people to look at."""
        ...

    async def quarantined(self) -> int:
        """How many are kept."""
        ...

    async def epoch(self) -> int:
        """The feed's epoch, 0 before the first."""
        ...

    async def set_epoch(self, epoch: int) -> None:
        """Remembers the feed's epoch; it never goes back."""
        ...

    async def sweep(self, limit: int) -> int:
        """Removes up to `limit` rows each of what nobody can ask for any more (entries of owners that are gone, old
        idempotency keys, quarantine beyond its bound); returns how many went."""
        ...


class Snapshot(Protocol):
    """The whole store as it was at one position. Tables come as (key, row) in order of key, read in bounded batches."""

    @property
    def head(self) -> Head: ...

    @property
    def oldest(self) -> Head:
        """Where the base is: it and the events after its position are the graph."""
        ...

    def events(self, after: int = 0) -> AsyncIterator[Event]:
        """The log in order of position, from `after + 1` on, as far as it is kept."""
        ...

    def base(self) -> AsyncIterator[State]:
        """The rows of the base, in bounded parts."""
        ...

    async def rows(self, keys: Keys) -> Rows:
        """The rows that exist among these keys."""
        ...

    def nodes(self) -> AsyncIterator[tuple[str, Node]]: ...

    def phases(self) -> AsyncIterator[tuple[str, str]]:
        """By path, the phase under which a node is listed and counted."""
        ...

    def links(self) -> AsyncIterator[tuple[tuple[str, str], tuple[str, ...]]]:
        """By source path and link name, the targets' uids in order, as the way back is found."""
        ...

    def facets(self) -> AsyncIterator[tuple[tuple[str, str], tuple[str, str]]]:
        """By path and facet (see `datamodel.facets`), the kind and value under which a node is found."""
        ...

    def pools(self) -> AsyncIterator[tuple[str, Pool]]: ...

    def entries(self) -> AsyncIterator[tuple[tuple[str, int], Entry]]:
        """By owner and index. Owners that are gone may have left some."""
        ...

    def totals(self) -> AsyncIterator[tuple[str, Totals]]: ...

    async def epoch(self) -> int:
        """The feed's."""
        ...

    def marks(self) -> AsyncIterator[tuple[str, int]]:
        """By name, how far each numbered source has been taken in."""
        ...

    def tokens(self) -> AsyncIterator[tuple[str, int]]:
        """By name, the token of each lease's last acquisition, held or not."""
        ...

    def replays(self) -> AsyncIterator[tuple[str, tuple[str, Kept]]]:
        """By idempotency key, what it stands for: the digest of its unit, and the outcome."""
        ...


class Snapshots(Protocol):
    """Gives reads of everything that are consistent with one position."""

    @property
    def model(self) -> Model: ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Opens a snapshot at the present head, while the store moves on."""
        ...


class Store(Log, Graph, History, Segments, Walks, Leases, Bookkeeping, Snapshots, Protocol):
    """All that is kept in one database."""


class Feed(Protocol):
    """Follows changes: the present first, then what happens."""

    async def follow(self, prefixes: Sequence[str], deliver: Callable[["FeedItem"], None]) -> None:
        """Calls `deliver` for the nodes at and below these paths, through every reconnection and new epoch, until it is
        cancelled. `deliver` must be quick."""
        ...


class Message(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One node as the feed carries it: identity and version decoded, the parts left as they came."""

    path: str
    uid: str
    kind: str
    version: int
    created_version: int = 0
    generation: int = 0
    deleted: bool = False
    deletion_requested_at: str | None = None
    labels: Mapping[str, str] = {}
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: msgspec.Raw = msgspec.Raw(b"{}")


class Synced(msgspec.Struct, frozen=True):
    """The present has been delivered: nodes not seen since the last `Restarted` do not exist any more."""


class Restarted(msgspec.Struct, frozen=True):
    """The present is about to be delivered (again): after a start, a new epoch or a gap that could not be bridged."""


FeedItem = Message | Synced | Restarted
