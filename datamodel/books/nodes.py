"""The book of nodes: who is alive, under whom, and how each may change."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from datamodel.books.difference import difference, presence
from datamodel.books.seen import Seen
from datamodel.event import Event
from datamodel.facets import facets_of
from datamodel.kinds import Document, Kind
from datamodel.node import Node
from datamodel.rows import Rows

UIDS_KEPT = 1_000_000
"""Of the dead: a uid that comes back after more deaths than this is not noticed."""


class Living(msgspec.Struct, eq=False):
    """A node as its events left it: what a `Node` has, and beside it its kind's declaration, its parent's path and how many
    living children it has."""

    path: str
    uid: str
    kind: str
    labels: dict[str, str]
    spec: Document
    status: Document
    links: dict[str, str]
    finalizers: tuple[str, ...]
    generation: int
    version: int
    created_version: int
    created_at: datetime
    deletion_requested_at: datetime | None
    declared: type[Kind]
    parent: str
    children: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing follows its phase. What has no phases never ends."""
        phases = self.declared.phases
        return phases is not None and not phases.allowed.get(self.status.get("phase") or phases.initial)


class NodeBook:
    """All living nodes, and the uids of the dead."""

    def __init__(self) -> None:
        self.living: dict[str, Living] = {}
        self._by_uid: dict[str, Living] = {}
        self._dead = Seen(UIDS_KEPT)

    def carry(self, node: Node, declared: type[Kind], parent: str) -> None:
        """Takes a node over from a state that was verified."""
        values = {name: getattr(node, name) for name in Node.__struct_fields__}
        self._enter(Living(**values, declared=declared, parent=parent))

    def create(self, event: Event, declared: type[Kind], parent: str, found: list[str]) -> Living:
        part = event.part
        links = part.get("links") or {}
        finalizers = tuple(part.get("finalizers") or ())
        if event.path in self.living:
            found.append(f"the path is taken by {self.living[event.path].uid}")
            self._leave(self.living[event.path])
        if event.uid in self._by_uid or event.uid in self._dead:
            found.append(f"the uid {event.uid} was another node's")
        if finalizers != declared.finalizers:
            found.append(f"begins with the finalizers {finalizers}, its kind declares {declared.finalizers}")
        if parent:
            self._check_parent(parent, found)
        for name, target in links.items():
            self._check_link(declared, name, target, found)
        node = Living(
            path=event.path,
            uid=event.uid,
            kind=declared.__name__,
            labels=part.get("labels") or {},
            spec=part["spec"],
            status={},
            links=links,
            finalizers=finalizers,
            generation=1,
            version=event.position,
            created_version=event.position,
            created_at=event.at,
            deletion_requested_at=None,
            declared=declared,
            parent=parent,
        )
        self._enter(node)
        return node

    def find(self, event: Event, found: list[str]) -> Living | None:
        """The node that an event changes."""
        node = self.living.get(event.path)
        if node is None:
            found.append("there is no such node")
        elif node.uid != event.uid:
            found.append(f"the node is {node.uid}, not {event.uid}")
        return node

    def change_status(self, node: Living, status: Document, found: list[str]) -> None:
        if status == node.status:
            found.append("nothing differs")
        phases = node.declared.phases
        if phases is not None:
            now, then = node.status.get("phase") or phases.initial, status.get("phase") or phases.initial
            following = phases.allowed.get(now)
            if not following:
                found.append(f"it had ended as {now}")
            elif then != now and then not in following:
                found.append(f"its table does not lead from {now} to {then}")
        node.status = status

    def change_spec(self, node: Living, spec: Document, found: list[str]) -> None:
        if spec == node.spec:
            found.append("nothing differs")
        node.spec = spec
        node.generation += 1

    def change_labels(self, node: Living, labels: dict[str, str], found: list[str]) -> None:
        if labels == node.labels:
            found.append("nothing differs")
        node.labels = labels

    def finalize(self, node: Living, finalizers: tuple[str, ...], found: list[str]) -> None:
        if finalizers == node.finalizers:
            found.append("nothing differs")
        elif not set(finalizers) < set(node.finalizers):
            found.append(f"the finalizers {finalizers} do not come of {node.finalizers}")
        node.finalizers = finalizers

    def request_deletion(self, node: Living, at: datetime, found: list[str]) -> None:
        if node.deletion_requested_at is not None:
            found.append("nothing differs")
        if not node.finalizers and not node.children:
            found.append("nothing holds the deletion")
        node.deletion_requested_at = at

    def remove(self, node: Living, found: list[str]) -> None:
        if node.children:
            found.append(f"{node.children} nodes live below it")
        if node.finalizers:
            found.append(f"its finalizers {node.finalizers} are left")
        self._leave(node)

    def compare(self, stored: Rows, paths: Iterable[str]) -> Iterator[str]:
        """A sentence for each row of these nodes, of their phases, links and facets, that is not what follows from the log."""
        linked: dict[str, dict[str, str]] = {}
        for (source, name), target in stored.links.items():
            linked.setdefault(source, {})[name] = target
        found_by: dict[str, dict[str, tuple[str, str]]] = {}
        for (source, facet), found in stored.facets.items():
            found_by.setdefault(source, {})[facet] = found
        for path in paths:
            mine, row = self.living.get(path), stored.nodes.get(path)
            if missing := presence(f"node {path}", row, mine):
                yield missing
            elif row is not None:
                for name in Node.__struct_fields__:
                    if wrong := difference(f"node {path}, {name}", getattr(row, name), getattr(mine, name)):
                        yield wrong
            phase = mine.status.get("phase", "") if mine is not None else None
            if wrong := difference(f"phase {path}", stored.phases.get(path), phase):
                yield wrong
            if wrong := difference(f"links {path}", linked.get(path, {}), mine.links if mine is not None else {}):
                yield wrong
            if wrong := difference(f"facets {path}", found_by.get(path, {}), _facets(mine)):
                yield wrong

    def _check_parent(self, parent: str, found: list[str]) -> None:
        above = self.living.get(parent)
        if above is None:
            found.append("its parent does not exist")
        elif above.deletion_requested_at is not None:
            found.append("its parent is being deleted")

    def _check_link(self, declared: type[Kind], name: str, uid: str, found: list[str]) -> None:
        link, target = declared.links.get(name), self._by_uid.get(uid)
        if link is None:
            found.append(f"its kind declares no link {name!r}")
        elif target is None:
            found.append(f"the target of its link {name!r} does not exist")
        elif target.kind != link.to:
            found.append(f"its link {name!r} leads to a {target.kind}")
        elif target.deletion_requested_at is not None:
            found.append(f"the target of its link {name!r} is being deleted")

    def _enter(self, node: Living) -> None:
        self.living[node.path] = self._by_uid[node.uid] = node
        above = self.living.get(node.parent)
        if above is not None:
            above.children += 1

    def _leave(self, node: Living) -> None:
        del self.living[node.path]
        self._by_uid.pop(node.uid, None)
        self._dead.add(node.uid)
        above = self.living.get(node.parent)
        if above is not None:
            above.children -= 1


def _facets(node: Living | None) -> dict[str, tuple[str, str]]:
    if node is None:
        return {}
    facets = facets_of(node.declared, node.labels, node.spec, node.status)
    return {facet: (node.kind, value) for facet, value in facets.items()}
