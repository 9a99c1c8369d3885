"""What rows the rule book has to see for some units: the read set, computed from the commands alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from datamodel.command import Unit
from datamodel.model import Model
from datamodel.names import is_within
from datamodel.node import Node
from datamodel.state import EntryKey


@dataclass(slots=True)
class Needs:
    """Keys of rows by table. `deleted` and `finalized` are the paths whose subtrees matter."""

    nodes: set[str] = field(default_factory=set)
    pools: set[str] = field(default_factory=set)
    entries: set[EntryKey] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    finalized: set[str] = field(default_factory=set)
    leases: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)

    def subtrees(self, nodes: Iterable[Node]) -> set[str]:
        """The paths below which every node must be read, once the named nodes are known: a finalized node may take its
        deleted ancestors with it."""
        ancestors = {
            node.path
            for node in nodes
            if node.deletion_requested_at is not None and any(is_within(path, node.path) for path in self.finalized)
        }
        return self.deleted | self.finalized | ancestors

    def with_nodes(self, model: Model, nodes: Iterable[Node]) -> None:
        """Adds what the nodes that may be deleted derive: their pools and, if they own a ledger, its totals."""
        for node in nodes:
            if model.kinds[node.kind].offer is not None:
                self.pools.add(node.path)
            self.owners.add(node.uid)


def needs(model: Model, units: Sequence[Unit]) -> Needs:
    """The read set of prepared units."""
    found = Needs()
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
                    if parent:
                        found.nodes.add(parent)
                    found.nodes.update(command.links.values())
                    if command.uid:
                        found.uids.add(command.uid)
                case "delete":
                    found.deleted.add(command.path)
                case "finalize":
                    found.finalized.add(command.path)
                    while parent:
                        found.nodes.add(parent)
                        parent = model.locate(parent)[1]
            if kind.offer is not None:
                found.pools.add(command.path)
            if kind.reserve is not None:
                found.pools.add(kind.reserve.pool(command.path))
            if kind.settle is not None:
                claim = kind.settle.claim(command.path)
                if claim is not None:
                    found.entries.add((claim.owner, claim.index))
                    found.owners.add(claim.owner)
    return found
