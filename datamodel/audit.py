"""The audit: follows the log event by event, and says what should not be so. It does not trust the fold.

It keeps books of its own (`datamodel/books/`) and judges each event against them, at a cost that depends on the event and
not on the graph. What the projection, the counters and the ledger should be follows from the same books.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Self

from datamodel.books.ledger import LedgerBook
from datamodel.books.living import Living
from datamodel.books.nodes import NodeBook
from datamodel.books.reservations import ReservationBook
from datamodel.books.seen import Seen
from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.ledger import Totals
from datamodel.links import links_of
from datamodel.model import Model
from datamodel.ports import Head
from datamodel.rows import Keys, Rows
from datamodel.state import State

EVENTS_KEPT = 100_000
"""An event id that comes back after more events than this is not noticed."""


class Audit:
    """The books at a position of the log, at first before its beginning. Events' documents are kept as they come: nobody may
    write into them."""

    def __init__(self, model: Model) -> None:
        self.head = Head(position=0, at=datetime(1970, 1, 1, tzinfo=UTC))
        self.event_id = ""
        """Of the last event; empty where none was taken yet."""
        self._model = model
        self._ids = Seen(EVENTS_KEPT)
        self._nodes = NodeBook()
        self._reservations = ReservationBook()
        self._ledger = LedgerBook()
        self._judge = model.judge(self._ledger) if model.judge is not None else None

    @classmethod
    def at(cls, model: Model, head: Head, state: State) -> Self:
        """The books at a position whose state was verified otherwise, so that the log up to there need not be read. Uids and
        event ids that were used before are not known then."""
        audit = cls(model)
        audit.begin(head, state)
        return audit

    def begin(self, head: Head, state: State) -> None:
        """Carries a state into books that nothing was taken into yet: the log goes on after it."""
        self.head = head
        for path in sorted(state.nodes):
            node = state.nodes[path]
            kind, parent = self._model.locate(path)
            self._nodes.carry(node, kind, parent)
            if kind.offer is not None:
                self._reservations.offer(path, kind.offer.capacity(node.spec))
            if kind.reserve is not None and not self._nodes.living[path].vacant:
                self._reservations.carry(path, kind.reserve.pool(path), kind.reserve.amounts(node.spec))
        for entry in state.entries.values():
            if entry.owner in state.totals:
                self._ledger.carry(entry)

    def step(self, event: Event) -> list[str]:
        """Takes the next event of the log; a sentence for each violation. The books go on with what the event says."""
        found: list[str] = []
        head = self.head
        if event.position != head.position + 1:
            found.append(f"follows {head.position}")
        if event.at < head.at:
            found.append(f"is of {event.at}, older than the one before it")
        if self._ids.add(event.id):
            found.append(f"the id {event.id} was another event's")
        self.head, self.event_id = Head(event.position, event.at), event.id
        found += self._nodes.links.settle(event.at)
        try:
            self._follow(event, found)
        except Invalid as error:
            found.append(error.message)
        except Exception as error:  # noqa: BLE001 - an event of another shape is a finding, and the rest is still of interest
            found.append(f"cannot be followed: {error!r}")
        return [f"event {event.position}, {event.op} of {event.path}: {sentence}" for sentence in found]

    def compare(self, stored: Rows, keys: Keys | None = None) -> Iterator[str]:
        """A sentence for each stored row that is not what follows from the log, among those with the keys, or of all. Of the
        keys, `stored` must have every row that exists at this position."""
        if keys is None:
            keys = Keys(
                self._nodes.living.keys()
                | stored.nodes.keys()
                | stored.phases.keys()
                | {p for p, _ in (*stored.links, *stored.facets)},
                self._reservations.pools | stored.pools.keys(),
                {*self._ledger.keys, *stored.entries},
                self._ledger.owners | stored.totals.keys(),
            )
        yield from self._nodes.links.unsettled()
        yield from self._nodes.compare(stored, sorted(keys.nodes))
        yield from self._reservations.compare(stored, sorted(keys.pools))
        yield from self._ledger.compare_entries(stored.entries, sorted(keys.entries))
        yield from self._ledger.compare_totals(stored, sorted(keys.owners))

    @property
    def paths(self) -> set[str]:
        """Of all living nodes."""
        return set(self._nodes.living)

    def node(self, path: str) -> Living | None:
        """A living node; not to be written into."""
        return self._nodes.living.get(path)

    def used(self, pool: str) -> Mapping[str, int]:
        """What is in use of a pool, by resource."""
        return self._reservations.used(pool)

    def totals(self, owner: str) -> Totals:
        """The sums over an owner's pieces; those of all owners under `datamodel.ledger.ALL`."""
        return self._ledger.totals(owner)

    def _follow(self, event: Event, found: list[str]) -> None:
        kind, parent = self._model.locate(event.path)
        if kind.__name__ != event.kind:
            found.append(f"a {kind.__name__} lives there, and no {event.kind}")
        if event.op == "created":
            self._create(self._nodes.create(event, kind, parent, found), found)
            return
        node = self._nodes.find(event, found)
        if node is None:
            return
        node.version, node.schema = event.position, event.schema
        match event.op:
            case "statusChanged" | "specChanged":
                self._change(node, event, found)
            case "labelsChanged":
                self._nodes.change_labels(node, event.part["labels"], event.actor, found)
            case "linksChanged":
                self._nodes.change_links(node, links_of(event.part), found)
            case "finalized":
                self._nodes.finalize(node, tuple(event.part["finalizers"]), found)
            case "deletionRequested":
                self._nodes.request_deletion(node, event.at, found)
            case "deleted":
                self._remove(node, found)

    def _create(self, node: Living, found: list[str]) -> None:
        kind = node.declared
        if kind.offer is not None:
            self._reservations.offer(node.path, kind.offer.capacity(node.spec))
        if kind.reserve is not None:
            amounts = kind.reserve.amounts(node.spec)
            self._reservations.reserve(node.path, kind.reserve.pool(node.path), amounts, found)
        if kind.settle is not None:
            claim = kind.settle.claim(node.path)
            if claim is None:
                found.append("its name claims nothing")
                return
            if node.links.get(kind.settle.owner) != (claim.owner,):
                found.append(f"its link {kind.settle.owner!r} does not lead to {claim.owner}")
            assert self._judge is not None, "a model that settles a ledger has one"
            self._judge.begin(claim, node, found)

    def _change(self, node: Living, event: Event, found: list[str]) -> None:
        kind, had_ended = node.declared, node.ended
        if event.op == "statusChanged":
            self._nodes.change_status(node, event.part["status"], found)
        else:
            self._nodes.change_spec(node, event.part["spec"], event.actor, found)
            if kind.offer is not None:
                self._reservations.offer(node.path, kind.offer.capacity(node.spec))
            if kind.reserve is not None:
                self._reservations.check_unchanged(node.path, kind.reserve.amounts(node.spec), found)
        claim = kind.settle.claim(node.path) if kind.settle is not None else None
        if claim is not None:
            assert self._judge is not None, "a model that settles a ledger has one"
            if event.op == "specChanged":
                self._judge.check_names(claim, node, found)
            if not had_ended:
                self._judge.follow(claim, node, found)
            elif event.op == "specChanged":
                self._judge.revise(claim, node, found)
        if kind.reserve is not None and node.vacant:
            self._reservations.release(node.path)

    def _remove(self, node: Living, found: list[str]) -> None:
        if self._reservations.release(node.path):
            found.append("it has not ended, and may still hold what it reserved")
        if node.declared.offer is not None:
            self._reservations.withdraw(node.path, found)
        self._ledger.end(node.uid)
        self._nodes.remove(node, found)
