"""The book of nodes: who is alive, under whom, and how each may change."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter

from datamodel.books import owners
from datamodel.books.difference import difference, presence
from datamodel.books.links import LinkBook
from datamodel.books.living import Living
from datamodel.books.seen import Seen
from datamodel.event import Event
from datamodel.facets import facets_of
from datamodel.immutable import changed_immutable
from datamodel.kinds import Document, Kind, Link
from datamodel.links import Links, links_of
from datamodel.node import Node
from datamodel.rows import Rows

_KEPT = tuple(name for name in Node.__struct_fields__ if name != "owners")
_COMPARED = tuple(
    name for name in _KEPT if name != "schema"
)  # which is how a row was written, and no fact of the graph
_compared = attrgetter(*_COMPARED)

UIDS_KEPT = 1_000_000
"""Of the dead: a uid that comes back after more deaths than this is not noticed."""


class NodeBook:
    """All living nodes, and the uids of the dead."""

    def __init__(self) -> None:
        self.living: dict[str, Living] = {}
        self._by_uid: dict[str, Living] = {}
        self._dead = Seen(UIDS_KEPT)
        self.links = LinkBook()

    def carry(self, node: Node, declared: type[Kind], parent: str) -> None:
        """Takes a node over from a state that was verified."""
        living = Living(**{name: getattr(node, name) for name in _KEPT}, declared=declared, parent=parent)
        owners.carry(living, node.owners)
        self._enter(living)

    def create(self, event: Event, declared: type[Kind], parent: str, found: list[str]) -> Living:
        part = event.part
        links = links_of(part)
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
        self._check_links(declared, links, {}, found)
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
            schema=event.schema,
            correlation=event.correlation,
            declared=declared,
            parent=parent,
            creator=event.actor,
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
            if not following and _without(node.status, phases.afterwards) != _without(status, phases.afterwards):
                found.append(f"it had ended as {now}")
            elif following and then != now and then not in following:
                found.append(f"its table does not lead from {now} to {then}")
        stays = [name for name in node.declared.once if name in node.status]
        found += [f"its {name} is another now" for name in stays if node.status[name] != status.get(name)]
        node.status = status

    def change_spec(self, node: Living, spec: Document, actor: str, found: list[str]) -> None:
        if spec == node.spec:
            found.append("nothing differs")
        pointer = changed_immutable(node.declared, node.spec, spec)
        if pointer is not None:
            found.append(f"{pointer} is another than at its creation")
        owners.change(node, spec, node.labels, actor)
        node.spec = spec
        node.generation += 1

    def change_labels(self, node: Living, labels: dict[str, str], actor: str, found: list[str]) -> None:
        if labels == node.labels:
            found.append("nothing differs")
        owners.change(node, node.spec, labels, actor)
        node.labels = labels

    def change_links(self, node: Living, links: Links, found: list[str]) -> None:
        if links == node.links:
            found.append("nothing differs")
        self._check_links(node.declared, links, node.links, found)
        settles = node.declared.settle
        if settles is not None and links.get(settles.owner) != node.links.get(settles.owner):
            found.append(f"its link {settles.owner!r} leads to another owner than before")
        self.links.relink(node, node.links, links)
        node.links = links

    def finalize(self, node: Living, finalizers: tuple[str, ...], found: list[str]) -> None:
        if finalizers == node.finalizers:
            found.append("nothing differs")
        elif not set(finalizers) < set(node.finalizers):
            found.append(f"the finalizers {finalizers} do not come of {node.finalizers}")
        node.finalizers = finalizers

    def request_deletion(self, node: Living, at: datetime, found: list[str]) -> None:
        if node.deletion_requested_at is not None:
            found.append("nothing differs")
        if not node.finalizers and not node.children and not self.links.holds(node):
            found.append("nothing holds the deletion")
        node.deletion_requested_at = at
        self.links.request(node)

    def remove(self, node: Living, found: list[str]) -> None:
        if node.children:
            found.append(f"{node.children} nodes live below it")
        if node.finalizers:
            found.append(f"its finalizers {node.finalizers} are left")
        self.links.remove(node)
        self._leave(node)

    def compare(self, stored: Rows, paths: Iterable[str]) -> Iterator[str]:
        """A sentence for each row of these nodes, of their phases, links and facets, that is not what follows from the log."""
        linked: dict[str, Links] = {}
        for (source, name), targets in stored.links.items():
            linked.setdefault(source, {})[name] = targets
        found_by: dict[str, dict[str, tuple[str, str]]] = {}
        for (source, facet), found in stored.facets.items():
            found_by.setdefault(source, {})[facet] = found
        for path in paths:
            mine, row = self.living.get(path), stored.nodes.get(path)
            if row is None or mine is None:
                if missing := presence(f"node {path}", row, mine):
                    yield missing
            else:
                yield from owners.compare(mine, row.owners)
                if _compared(row) != _compared(mine):
                    for name, stored_part, derived in zip(_COMPARED, _compared(row), _compared(mine), strict=True):
                        if wrong := difference(f"node {path}, {name}", stored_part, derived):
                            yield wrong
            phase = mine.status.get("phase", "") if mine is not None else None
            for table, stored_part, derived in (
                ("phase", stored.phases.get(path), phase),
                ("links", linked.get(path, {}), mine.links if mine is not None else {}),
                ("facets", found_by.get(path, {}), _facets(mine)),
            ):
                if stored_part != derived and (wrong := difference(f"{table} {path}", stored_part, derived)):
                    yield wrong

    def _check_parent(self, parent: str, found: list[str]) -> None:
        above = self.living.get(parent)
        if above is None:
            found.append("its parent does not exist")
        elif above.deletion_requested_at is not None:
            found.append("its parent is being deleted")

    def _check_links(self, declared: type[Kind], links: Links, before: Links, found: list[str]) -> None:
        for name, targets in links.items():
            link = declared.links.get(name)
            if link is None:
                found.append(f"its kind declares no link {name!r}")
                continue
            if list(targets) != sorted({*targets}) or not targets:
                found.append(f"the targets of its link {name!r} are not in order, or none")
            if len(targets) > 1 and not link.many:
                found.append(f"its link {name!r} has {len(targets)} targets, and may have one")
            for uid in targets:
                if uid not in before.get(name, ()):
                    self._check_target(link, name, uid, found)
        found += [
            f"its link {name!r} has no target"
            for name, link in declared.links.items()
            if link.required and name not in links
        ]

    def _check_target(self, link: Link, name: str, uid: str, found: list[str]) -> None:
        target = self._by_uid.get(uid)
        if target is None:
            found.append(f"the target of its link {name!r} does not exist")
        elif target.kind != link.to:
            found.append(f"its link {name!r} leads to a {target.kind}")
        elif target.deletion_requested_at is not None:
            found.append(f"the target of its link {name!r} is being deleted")

    def _enter(self, node: Living) -> None:
        self.living[node.path] = self._by_uid[node.uid] = node
        self.links.relink(node, {}, node.links)
        above = self.living.get(node.parent)
        if above is not None:
            above.children += 1

    def _leave(self, node: Living) -> None:
        del self.living[node.path]
        self._by_uid.pop(node.uid, None)
        self._dead.add(node.uid)
        self.links.relink(node, node.links, {})
        node.gone = True
        above = self.living.get(node.parent)
        if above is not None:
            above.children -= 1


def _facets(node: Living | None) -> dict[str, tuple[str, str]]:
    if node is None:
        return {}
    facets = facets_of(node.declared, node.labels, node.spec, node.status)
    return {facet: (node.kind, value) for facet, value in facets.items()}


def _without(status: Document, names: frozenset[str]) -> Document:
    return {name: value for name, value in status.items() if name not in names}
