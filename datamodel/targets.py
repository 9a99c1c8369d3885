"""What commands make of a node's links: the paths that they name become the uids of nodes that are there."""

from collections.abc import Mapping, Sequence

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid, NotFound
from datamodel.kinds import Kind
from datamodel.links import Links, check_cardinality
from datamodel.node import Node
from datamodel.state import State


def first_links(state: State, kind: type[Kind], wanted: Mapping[str, Sequence[str]]) -> Links:
    """The links of a new node. Raises what forbids one of them, naming it."""
    links: Links = {}
    for name, paths in wanted.items():
        if len(paths) == 1:
            links[name] = (_target(state, kind, name, paths[0], None),)
        elif paths:
            links |= _targets(state, kind, {name: paths}, None)
    check_cardinality(kind, links)
    return links


def revised_links(state: State, kind: type[Kind], before: Node, command: Command) -> Links:
    """The links of a node as a command leaves them. Raises what forbids one of them, naming it."""
    links = {**before.links, **_wanted(state, kind, before, command)}
    links = {name: targets for name, targets in links.items() if targets}
    if links == before.links:
        return before.links
    if before.deletion_requested_at is not None:
        raise Conflict(f"{before.path} is being deleted, and its links go with it", field="/links")
    check_cardinality(kind, links)
    if kind.settle is not None and links.get(kind.settle.owner) != before.links.get(kind.settle.owner):
        raise Invalid("the owner of a claim cannot change", field=f"/links/{kind.settle.owner}")
    return links


def _wanted(state: State, kind: type[Kind], before: Node, command: Command) -> Links:
    if command.op == "apply":
        return _targets(state, kind, command.links, before)
    name, path = command.body["link"], command.body["target"]
    targets, uid = {*before.links.get(name, ())}, _target(state, kind, name, path, before)
    if command.op == "link" and targets - {uid} and not kind.links[name].many:
        raise Conflict(f"link {name!r} of {before.path} has a target already", field=f"/links/{name}")
    return {name: tuple(sorted(targets | {uid} if command.op == "link" else targets - {uid}))}


def _targets(state: State, kind: type[Kind], wanted: Mapping[str, Sequence[str]], before: Node | None) -> Links:
    return {
        name: tuple(sorted({_target(state, kind, name, path, before) for path in paths}))
        for name, paths in wanted.items()
    }


def _target(state: State, kind: type[Kind], name: str, path: str, before: Node | None) -> str:
    node = state.nodes.get(path)
    if node is None or node.kind != kind.links[name].to:
        raise NotFound(f"link {name!r}: {path} is no {kind.links[name].to}", field=f"/links/{name}")
    known = before is not None and node.uid in before.links.get(name, ())
    if node.deletion_requested_at is not None and not known:
        raise Conflict(f"link {name!r}: {path} is being deleted", field=f"/links/{name}")
    return node.uid
