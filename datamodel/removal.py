"""What goes with a node: all that is below it, what is linked to that and goes too, and what has to wait for what.

A node waits for its finalizers, for the nodes below it, and for the sources of those of its links that would else lead
nowhere: so a deletion is in the foreground, and at no time a node has a parent or a target that is gone.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from datamodel.errors import Conflict
from datamodel.kinds import Link
from datamodel.links import Links
from datamodel.model import Model
from datamodel.node import Node
from datamodel.state import State

SUBTREE_LIMIT = 10_000
"""The most nodes that one deletion may take with it, and links that lead to them, together."""


@dataclass(frozen=True, slots=True)
class Removal:
    """`doomed` go in this order, deepest first, except those whose path is `held`: these have to wait. `unlinked` stay, with
    the links that they have left."""

    doomed: list[Node]
    held: set[str]
    unlinked: list[tuple[Node, Links]]


def removal(model: Model, state: State, root: Node) -> Removal:
    """What the deletion of a node does. Raises `Conflict` where a link forbids it, or where it is too much at once."""
    ways = _Ways(model, state)
    doomed = _doomed(ways, root)
    held = {path for path, node in doomed.items() if node.finalizers}
    for path in sorted(doomed):
        for source, name, link in ways.sources(doomed[path]):
            if link.gone != "restrict" or source.path in doomed:
                continue
            if source.deletion_requested_at is None:
                raise Conflict(f"{source.path} links to {path} as its {name!r}: unlink or delete it first")
            held.add(path)
    _hold(ways, doomed, held)
    return _removal(ways, doomed, held)


def released(model: Model, state: State, root: Node) -> Removal:
    """What of the nodes that are being deleted may go at last, now that a finalizer of `root` is done."""
    ways = _Ways(model, state)
    going: dict[str, Node] = {}
    found = [root]
    while found:
        node = found.pop()
        if node.deletion_requested_at is not None and not node.finalizers and node.path not in going:
            going[node.path] = node
            found += ways.waiting_for(node)
    held = {
        path
        for path, node in going.items()
        if any(below.path not in going for below in ways.below(path))
        or any(source.path not in going for source, _, link in ways.sources(node) if link.gone != "unlink")
    }
    _hold(ways, going, held)
    left = {path: node for path, node in going.items() if path not in held}
    return _removal(ways, left, set())


def _doomed(ways: "_Ways", root: Node) -> dict[str, Node]:
    """The nodes that go sooner or later, by path."""
    doomed: dict[str, Node] = {}
    found, links = [root], 0
    while found:
        top = found.pop()
        for node in (top, *ways.below(top.path)):
            if node.path in doomed:
                continue
            doomed[node.path] = node
            sources = ways.sources(node)
            links += len(sources)
            found += [source for source, _, link in sources if link.gone == "cascade" and source.path not in doomed]
        if len(doomed) + links > SUBTREE_LIMIT:
            raise Conflict(
                f"more than {SUBTREE_LIMIT} nodes below {root.path}, and links to them, would go: delete some of them first"
            )
    return doomed


def _hold(ways: "_Ways", going: dict[str, Node], held: set[str]) -> None:
    """Adds to what is held whatever has to wait for it."""
    found = list(held)
    while found:
        for node in ways.waiting_for(going[found.pop()]):
            if node.path in going and node.path not in held:
                held.add(node.path)
                found.append(node.path)


def _removal(ways: "_Ways", doomed: dict[str, Node], held: set[str]) -> Removal:
    order = [doomed[path] for path in sorted(doomed, reverse=True)]
    return Removal(order, held, _unlinked(ways, [node for node in order if node.path not in held]))


def _unlinked(ways: "_Ways", gone: Iterable[Node]) -> list[tuple[Node, Links]]:
    """The sources that stay and let go of what goes, in order of path, with the links that they have left."""
    uids = {node.uid for node in gone}
    kept = {
        source.path: source
        for node in gone
        for source, _, link in ways.sources(node)
        if link.gone == "unlink" and source.uid not in uids
    }
    return [(kept[path], ways.without(kept[path], uids)) for path in sorted(kept)]


class _Ways:
    """The ways between the nodes of a state, found once. Links that keep the uid of what is gone are none."""

    def __init__(self, model: Model, state: State) -> None:
        self._model, self._state = model, state
        self._paths = sorted(state.nodes) if model.binding else []
        self._by_uid: dict[str, Node] = {}
        self._sources: dict[str, list[tuple[Node, str, Link]]] = {}
        for path in self._paths:
            node = state.nodes[path]
            self._by_uid[node.uid] = node
            for name, link in model.binding.get(node.kind, {}).items():
                for uid in node.links.get(name, ()):
                    self._sources.setdefault(uid, []).append((node, name, link))

    def below(self, path: str) -> list[Node]:
        if not self._paths:
            return self._state.below(path)
        first, last = bisect_left(self._paths, path + "/"), bisect_left(self._paths, path + "0")
        return [self._state.nodes[found] for found in self._paths[first:last]]

    def sources(self, node: Node) -> list[tuple[Node, str, Link]]:
        """In order of path, with the link by which each leads to the node."""
        return self._sources.get(node.uid, [])

    def waiting_for(self, node: Node) -> list[Node]:
        """The nodes that cannot go before this one: its parent, and the targets of its links."""
        _, parent = self._model.locate(node.path)
        found = [self._state.nodes[parent]] if parent in self._state.nodes else []
        for name, link in self._model.binding.get(node.kind, {}).items():
            if link.gone != "unlink":
                found += [self._by_uid[uid] for uid in node.links.get(name, ()) if uid in self._by_uid]
        return found

    def without(self, node: Node, uids: set[str]) -> Links:
        """A node's links without those to these that are to be unlinked."""
        left = dict(node.links)
        for name, link in self._model.binding.get(node.kind, {}).items():
            if link.gone == "unlink":
                targets = tuple(uid for uid in left.pop(name, ()) if uid not in uids)
                if targets:
                    left[name] = targets
        return left
