"""What rows the rule book has to see for some units: the read set, computed from the commands alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from datamodel.command import Unit
from datamodel.kinds import Kind
from datamodel.ledger import ALL
from datamodel.model import Model
from datamodel.node import Node
from datamodel.state import EntryKey


@dataclass(slots=True)
class Needs:
    """Keys of rows by table. `created` are the nodes among them that must not exist, `deleted` and `finalized` the paths whose
    subtrees matter, with what is linked to them."""

    nodes: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)
    entries: set[EntryKey] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    finalized: set[str] = field(default_factory=set)
    leases: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)

    @property
    def rows(self) -> int:
        """How many keys of rows there are."""
        return len(self.nodes) + len(self.pools) + len(self.entries) + len(self.owners)

    def add(self, others: "Needs") -> None:
        """Adds the keys of rows."""
        self.nodes |= others.nodes
        self.pools |= others.pools
        self.entries |= others.entries
        self.owners |= others.owners

    def remove(self, others: "Needs") -> None:
        """Removes keys of rows."""
        self.nodes -= others.nodes
        self.pools -= others.pools
        self.entries -= others.entries
        self.owners -= others.owners

    def without(self, known: "Needs") -> "Needs":
        """The same, less the rows that are known."""
        return replace(
            self,
            nodes=self.nodes - known.nodes,
            pools=self.pools - known.pools,
            entries=self.entries - known.entries,
            owners=self.owners - known.owners,
        )

    def add_derived(self, kind: type[Kind], path: str) -> None:
        """Adds the rows beside the node that a change of it may touch: pools and the ledger."""
        if kind.offer is not None:
            self.pools.add(path)
        if kind.reserve is not None:
            self.pools.add(kind.reserve.pool(path))
        if kind.settle is not None:
            claim = kind.settle.claim(path)
            if claim is not None:
                self.entries.add((claim.owner, claim.index))
                self.owners |= {claim.owner, ALL}

    @property
    def removes(self) -> bool:
        """Whether subtrees matter."""
        return bool(self.deleted or self.finalized)

    def with_nodes(self, model: Model, nodes: Iterable[Node]) -> None:
        """Adds what the nodes that may be deleted derive: their pools and, if they own a ledger, its totals."""
        for node in nodes:
            if model.kinds[node.kind].offer is not None:
                self.pools.add(node.path)
            self.owners |= {node.uid, ALL}


def needs(model: Model, units: Sequence[Unit]) -> Needs:
    """The read set of prepared units."""
    found = Needs()
    relinked: set[str] = set()
    for unit in units:
        if unit.fence is not None:
            found.leases.add(unit.fence.lease)
        if unit.advance is not None:
            found.marks.add(unit.advance.mark)
        if unit.key:
            found.keys.add(unit.key)
        for command in unit.commands:
            kind, parent = model.locate(command.path)
            found.nodes.add(command.path)
            match command.op:
                case "create" | "apply":
                    if command.op == "create":
                        found.created.add(command.path)
                    if parent:
                        found.nodes.add(parent)
                    for paths in command.links.values():
                        found.nodes.update(paths)
                    if command.op == "apply" and command.links:
                        relinked.add(command.path)
                    if command.uid:
                        found.uids.add(command.uid)
                case "link" | "unlink":
                    found.nodes.add(command.body["target"])
                    relinked.add(command.path)
                case "delete":
                    found.deleted.add(command.path)
                case "finalize":
                    found.finalized.add(command.path)
                    while parent:
                        found.nodes.add(parent)
                        parent = model.locate(parent)[1]
            found.add_derived(kind, command.path)
    if found.removes:
        found.deleted |= relinked  # they may go with what they are linked to just now
    return found
