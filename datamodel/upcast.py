"""Reading what an older version of the model wrote: documents are brought to the present schema of their kind.

A node or event keeps the version that it was written with (`schema`), which tells who writes it next that more has to be
written than what changes; its documents are always of the present one.
"""

from collections.abc import Sequence

from msgspec import structs

from datamodel.errors import Transient
from datamodel.event import Event
from datamodel.kinds import Document, Kind, Upcast
from datamodel.model import Model
from datamodel.node import Node


def upcast_node(model: Model, node: Node) -> Node:
    """A node as it is stored, with documents of the present version. Raises `Transient` where a newer one wrote it."""
    kind = model.kinds.get(node.kind)
    if kind is None or node.schema == kind.version:
        return node
    steps = _steps(kind, node.schema, node.path)
    return structs.replace(node, spec=_spec(steps, node.spec), status=_status(steps, node.status))


def upcast_event(model: Model, event: Event) -> Event:
    """An event as it is stored, with documents of the present version. Raises `Transient` where a newer one wrote it."""
    kind = model.kinds.get(event.kind)
    if kind is None or event.schema == kind.version:
        return event
    steps, part = _steps(kind, event.schema, event.path), dict(event.part)
    if "spec" in part:
        part["spec"] = _spec(steps, part["spec"])
    if "status" in part:
        part["status"] = _status(steps, part["status"])
    return structs.replace(event, part=part)


def restamped(model: Model, event: Event) -> Event:
    """An event that was upcast, as the present version of its kind would have written it."""
    kind = model.kinds.get(event.kind)
    return event if kind is None or event.schema == kind.version else structs.replace(event, schema=kind.version)


def restamped_node(model: Model, node: Node) -> Node:
    """A node that was upcast, as the present version of its kind would have written it."""
    kind = model.kinds.get(node.kind)
    return node if kind is None or node.schema == kind.version else structs.replace(node, schema=kind.version)


def _steps(kind: type[Kind], schema: int, path: str) -> Sequence[Upcast]:
    if schema > kind.version:
        raise Transient(
            f"{path} was written with version {schema} of {kind.__name__}, and this program knows {kind.version}: it is older"
        )
    return [kind.upcasts[version] for version in range(schema, kind.version)]


def _spec(steps: Sequence[Upcast], spec: Document) -> Document:
    for step in steps:
        spec = step.spec(spec)
    return spec


def _status(steps: Sequence[Upcast], status: Document) -> Document:
    """Who has reported nothing yet has nothing to be upcast."""
    for step in steps if status else ():
        status = step.status(status)
    return status
