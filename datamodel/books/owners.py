"""The book of owners: for every leaf of a node's spec and labels, who changed it last."""

from collections.abc import Iterator
from typing import Any

from datamodel.books.living import Living
from datamodel.kinds import Document


def change(node: Living, spec: Document, labels: dict[str, str], actor: str) -> None:
    """The node's spec and labels are about to be these."""
    if actor == node.creator and not node.others:
        return
    before, after = _leaves(node.spec, node.labels), _leaves(spec, labels)
    others = {}
    for pointer, value in after.items():
        same = pointer in before and before[pointer] == value
        owner = node.others.get(pointer, node.creator) if same else actor
        if owner != node.creator:
            others[pointer] = owner
    node.others = others


def carry(node: Living, owners: dict[str, str]) -> None:
    """Takes owners over from a state that was verified."""
    node.creator = owners.get("", "")
    if len(owners) > 1:
        told = {pointer: _told(owners, pointer) for pointer in _leaves(node.spec, node.labels)}
        node.others = {pointer: owner for pointer, owner in told.items() if owner != node.creator}


def compare(node: Living, owners: dict[str, str]) -> Iterator[str]:
    """A sentence for each leaf of which the stored owners tell another one, and for each pointer that leads to no leaf."""
    if owners == {"": node.creator} and not node.others:
        return
    leaves = _leaves(node.spec, node.labels)
    for pointer in leaves:
        mine, stored = node.others.get(pointer, node.creator), _told(owners, pointer)
        if mine != stored:
            yield f"node {node.path}, owners: {pointer} is {stored!r}'s as stored, {mine!r}'s as follows"
    for pointer in owners:
        if not any(leaf == pointer or leaf.startswith(pointer + "/") for leaf in leaves):
            yield f"node {node.path}, owners: {pointer} leads to nothing"


def _told(owners: dict[str, str], pointer: str) -> str:
    while pointer and pointer not in owners:
        pointer = pointer.rpartition("/")[0]
    return owners.get(pointer, "")


def _leaves(spec: Document, labels: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("/spec", spec), ("/metadata/labels", labels)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", v) for name, v in value.items()]
        else:
            found[pointer] = value
    return found
