"""Whether what is stored is still what a model declares: asked of every node of a kind whose declaration has changed."""

from datamodel.errors import Invalid, TendrilError
from datamodel.kinds import Document, Kind
from datamodel.model import Model
from datamodel.node import Node
from datamodel.parts import check_status, normal_spec
from datamodel.upcast import upcast_node

Finding = tuple[str, str]
"""A JSON pointer into the node, and what is wrong there."""


def breaches(model: Model, stored: Node, phase: str) -> list[Finding]:
    """What the model does not allow of a node, which is as it is stored; `phase` is the one under which it is listed."""
    kind = model.kinds.get(stored.kind)
    if kind is None:
        return [("/metadata/kind", f"{stored.kind} is not declared any more")]
    try:
        node = upcast_node(model, stored)
    except TendrilError as error:
        return [("/metadata/schema", error.message)]
    except Exception as error:  # noqa: BLE001 - whatever a model's function raises belongs to the node
        return [("/metadata/schema", f"cannot be upcast from version {stored.schema}: {error!r}")]
    found = [*_place(model, kind, node), *_spec(kind, node.spec), *_status(kind, node.status)]
    found += [
        (f"/metadata/links/{name}", "there is no such link any more") for name in {*node.links}.difference(kind.links)
    ]
    if node.phase != phase:
        found.append(("/status/phase", f"is {node.phase!r} after upcasting, and the node is listed under {phase!r}"))
    return found


def _place(model: Model, kind: type[Kind], node: Node) -> list[Finding]:
    try:
        lives, _ = model.locate(node.path)
    except Invalid as error:
        return [("/metadata/path", error.message)]
    return [] if lives is kind else [("/metadata/path", f"a {lives.__name__} lives there now")]


def _spec(kind: type[Kind], spec: Document) -> list[Finding]:
    """A spec is stored with its defaults, and what reads it counts on them."""
    try:
        normal = normal_spec(kind, spec)
    except Invalid as error:
        return list(error.details)
    missing = [name for name in normal if name not in spec]
    if missing:
        return [(f"/spec/{name}", "is not there, and new ones have it by default: upcast it") for name in missing]
    return [] if normal == spec else [("/spec", "would be stored otherwise now: upcast it")]


def _status(kind: type[Kind], status: Document) -> list[Finding]:
    if not status:
        return []
    try:
        check_status(kind, status)
    except Invalid as error:
        return list(error.details)
    return []
