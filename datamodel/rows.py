"""Rows of the projection by key: which ones are meant, and what they are."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from datamodel.errors import Invalid
from datamodel.event import Event
from datamodel.facets import facets_of
from datamodel.ledger import ALL, Entry, Totals
from datamodel.model import Model
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.state import EntryKey, State

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")


@dataclass(slots=True)
class Keys:
    """Keys of rows by table: paths of nodes (with their phases, links and facets), paths of pools, entries, and owners of
    totals."""

    nodes: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)
    entries: set[EntryKey] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)

    def touch(self, model: Model, event: Event) -> None:
        """Adds every row that the event may change. What no kind is declared for has none."""
        try:
            kind, _ = model.locate(event.path)
        except Invalid:
            return
        self.nodes.add(event.path)
        if kind.offer is not None:
            self.pools.add(event.path)
        if kind.reserve is not None:
            self.pools.add(kind.reserve.pool(event.path))
        claim = kind.settle.claim(event.path) if kind.settle is not None else None
        if claim is not None:
            self.entries.add((claim.owner, claim.index))
            self.owners |= {claim.owner, ALL}
        if event.op == "deleted":
            self.owners |= {event.uid, ALL}

    def parts(self, limit: int) -> Iterator["Keys"]:
        """The same in parts of at most `limit` keys, in a fixed order."""
        for table in fields(self):
            keys = sorted(getattr(self, table.name))
            for first in range(0, len(keys), limit):
                yield Keys(**{table.name: set(keys[first : first + limit])})

    def __len__(self) -> int:
        return len(self.nodes) + len(self.pools) + len(self.entries) + len(self.owners)


@dataclass(slots=True)
class Rows:
    """Rows by key: nodes, the phases under which they are listed, their links by (path, link name), and by (path, facet) the
    kind and value under which they are found; pools, entries and totals. An absent key means that the row does not exist."""

    nodes: dict[str, Node] = field(default_factory=dict)
    phases: dict[str, str] = field(default_factory=dict)
    facets: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    links: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    entries: dict[EntryKey, Entry] = field(default_factory=dict)
    totals: dict[str, Totals] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, state: State, keys: Keys | None = None) -> "Rows":
        """What a state holds under these keys, or all of it."""
        nodes = _chosen(state.nodes, None if keys is None else keys.nodes)
        return cls(
            nodes=nodes,
            phases={path: node.phase for path, node in nodes.items()},
            facets=facet_rows(model, nodes.values()),
            links={(path, name): targets for path, node in nodes.items() for name, targets in node.links.items()},
            pools=_chosen(state.pools, None if keys is None else keys.pools),
            entries=_chosen(state.entries, None if keys is None else keys.entries),
            totals=_chosen(state.totals, None if keys is None else keys.owners),
        )


def facet_rows(model: Model, nodes: Iterable[Node]) -> dict[tuple[str, str], tuple[str, str]]:
    """By (path, facet), the kind and value under which nodes are found."""
    return {
        (node.path, facet): (node.kind, value)
        for node in nodes
        for facet, value in facets_of(model.kinds[node.kind], node.labels, node.spec, node.status).items()
    }


def _chosen(table: Mapping[_Key, _Row], keys: Collection[_Key] | None) -> dict[_Key, _Row]:
    return dict(table) if keys is None else {key: table[key] for key in keys if key in table}
