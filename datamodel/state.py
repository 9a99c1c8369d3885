"""The projection, and the fold that makes it: `state(log) = fold(event n, … fold(event 1, empty))`.

The rule book folds its own events as it admits them, the stores write what the fold touched, and the verifier folds the
whole log: there is one fold. A state journals its changes, so that a refused command leaves no trace.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from datamodel.event import Event
from datamodel.kinds import Document, Kind
from datamodel.ledger import ALL, Entry, Totals
from datamodel.links import links_of
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ownership import owned, transferred
from datamodel.pool import Pool

EntryKey = tuple[str, int]


class State:
    """Nodes and pools by path, ledger entries by (owner uid, index), totals by owner uid and, under `ALL`, of all owners. It
    may hold all rows or only those that some commands name; an absent key means that the row does not exist."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.pools: dict[str, Pool] = {}
        self.entries: dict[EntryKey, Entry] = {}
        self.totals: dict[str, Totals] = {}
        self._journal: list[tuple[dict[Any, Any], Any, Any]] = []

    def put(self, table: dict[Any, Any], key: Any, row: Any) -> None:
        """Writes a row, or removes it where `row` is None."""
        self._journal.append((table, key, table.get(key)))
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row

    def checkpoint(self) -> int:
        return len(self._journal)

    def rollback(self, checkpoint: int) -> None:
        """Undoes every change since the checkpoint."""
        while len(self._journal) > checkpoint:
            table, key, before = self._journal.pop()
            if before is None:
                table.pop(key, None)
            else:
                table[key] = before

    def commit(self) -> "Touched":
        """Forgets the journal and returns what was touched since the last commit."""
        touched = Touched()
        for table, key, before in self._journal:
            if table is self.nodes:
                touched.nodes.setdefault(key, before)
            elif table is self.pools:
                touched.pools.setdefault(key, before)
            elif table is self.entries:
                touched.entries.setdefault(key, before)
            else:
                touched.totals.setdefault(key, before)
        self._journal.clear()
        return touched

    def revert(self, touched: "Touched") -> None:
        """Undoes what a commit has told of, the last one first."""
        tables: tuple[tuple[dict[Any, Any], dict[Any, Any]], ...] = (
            (self.nodes, touched.nodes),
            (self.pools, touched.pools),
            (self.entries, touched.entries),
            (self.totals, touched.totals),
        )
        for table, rows in tables:
            for key, before in rows.items():
                if before is None:
                    table.pop(key, None)
                else:
                    table[key] = before

    def learn(self, rows: "State") -> None:
        """Takes rows over that were read elsewhere."""
        self.nodes |= rows.nodes
        self.pools |= rows.pools
        self.entries |= rows.entries
        self.totals |= rows.totals

    def forget(
        self, nodes: Iterable[str], pools: Iterable[str], entries: Iterable[EntryKey], totals: Iterable[str]
    ) -> None:
        """Drops rows that may not be so any more."""
        tables: tuple[tuple[dict[Any, Any], Iterable[Any]], ...] = (
            (self.nodes, nodes),
            (self.pools, pools),
            (self.entries, entries),
            (self.totals, totals),
        )
        for table, keys in tables:
            for key in keys:
                table.pop(key, None)

    def below(self, path: str) -> list[Node]:
        """The living nodes below a path (without it), deepest first."""
        prefix = path + "/"
        return [self.nodes[found] for found in sorted((n for n in self.nodes if n.startswith(prefix)), reverse=True)]


class Touched:
    """The keys that a run of folds changed, each with the row before it (None: it did not exist)."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node | None] = {}
        self.pools: dict[str, Pool | None] = {}
        self.entries: dict[EntryKey, Entry | None] = {}
        self.totals: dict[str, Totals | None] = {}


def fold(model: Model, state: State, event: Event) -> None:
    """Applies one event: the node's image, then what the node's kind derives from it (pools, ledger)."""
    kind = model.kinds[event.kind]
    before = state.nodes.get(event.path)
    after = image(before, event)
    state.put(state.nodes, event.path, after)
    if kind.offer is not None:
        _fold_capacity(kind, state, event.path, after)
    if kind.reserve is not None:
        _fold_reservation(kind, state, before, after)
    if kind.settle is not None and after is not None:
        _fold_ledger(kind, state, before, after)
    if event.op == "deleted" and event.uid in state.totals:
        rest = state.totals.get(ALL, Totals()).without(state.totals[event.uid])
        state.put(state.totals, ALL, rest if rest.phases else None)
        state.put(state.totals, event.uid, None)


def image(before: Node | None, event: Event) -> Node | None:
    """The node once an event has happened to it; None where it went."""
    part = event.part
    match event.op:
        case "created":
            return Node(  # in its order: names cost as much again as all of this
                event.path,
                event.uid,
                event.kind,
                part.get("labels", {}),
                part.get("spec", {}),
                {},  # no status yet
                links_of(part),
                tuple(part.get("finalizers", ())),
                1,
                event.position,
                event.position,
                event.at,
                None,
                {"": event.actor},
                event.schema,
                event.correlation,
            )
        case "deleted":
            return None
    assert before is not None, f"{event.op} of {event.path} at {event.position}, which does not exist"
    at, schema = event.position, event.schema
    match event.op:
        case "statusChanged":
            return structs.replace(before, status=part["status"], version=at, schema=schema)
        case "specChanged":
            spec = part["spec"]
            owners = _owners(before, spec, before.labels, event.actor)
            generation = before.generation + 1
            return structs.replace(before, spec=spec, owners=owners, generation=generation, version=at, schema=schema)
        case "labelsChanged":
            owners = _owners(before, before.spec, part["labels"], event.actor)
            return structs.replace(before, labels=part["labels"], owners=owners, version=at, schema=schema)
        case "linksChanged":
            return structs.replace(before, links=links_of(part), version=at, schema=schema)
        case "finalized":
            return structs.replace(before, finalizers=tuple(part["finalizers"]), version=at, schema=schema)
        case "deletionRequested":
            return structs.replace(before, deletion_requested_at=event.at, version=at, schema=schema)


def _owners(before: Node, spec: Document, labels: dict[str, str], actor: str) -> dict[str, str]:
    return transferred(before.owners, owned(before.spec, before.labels), owned(spec, labels), actor)


def _fold_capacity(kind: type[Kind], state: State, path: str, after: Node | None) -> None:
    assert kind.offer is not None
    capacity = dict(kind.offer.capacity(after.spec)) if after is not None else {}
    pool = state.pools.get(path, Pool())
    if capacity != pool.capacity:
        pool = Pool(capacity=capacity, used=pool.used)
        state.put(state.pools, path, pool if capacity or pool.used else None)


def _fold_reservation(kind: type[Kind], state: State, before: Node | None, after: Node | None) -> None:
    rule = kind.reserve
    assert rule is not None
    held = before is not None and rule.held(before.status)
    holds = after is not None and rule.held(after.status)
    if held == holds:
        return
    node = after if after is not None else before
    assert node is not None
    key = rule.pool(node.path)
    pool = state.pools.get(key, Pool())
    amounts = rule.amounts(node.spec)
    pool = pool.reserved(amounts) if holds else pool.released(amounts)
    state.put(state.pools, key, pool if pool.capacity or pool.used else None)


def _fold_ledger(kind: type[Kind], state: State, before: Node | None, node: Node) -> None:
    rule, phases = kind.settle, kind.phases
    assert rule is not None
    assert phases is not None
    claim = rule.claim(node.path)
    if claim is None:
        return
    key = (claim.owner, claim.index)
    entry = state.entries.get(key)
    if before is None:
        after = rule.begin(entry, claim, node.path, node.spec)
        assert isinstance(after, Entry), f"{node.path}: {after}"
    else:
        settled = phases.is_terminal(before.phase or phases.initial)  # a later change of the node counts nothing
        gone = claim.owner not in state.totals  # and the owner's entries with it
        if gone or entry is None:
            return
        if not settled and entry.epoch == claim.epoch:
            after = rule.advance(entry, node.spec, node.status) if entry.phase not in rule.final else entry
        else:
            after = rule.adopt(entry, claim, node.path, node.spec, node.status, ended=settled) or entry
    if after != entry:
        state.put(state.entries, key, after)
        for owner in (claim.owner, ALL):
            state.put(state.totals, owner, state.totals.get(owner, Totals()).moved(entry, after))
