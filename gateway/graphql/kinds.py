"""Object types of kinds: a node's own fields, its parts, its children and the links that lead to it."""

from collections.abc import Callable
from inspect import cleandoc
from typing import Any

import msgspec
import strawberry
from strawberry.types.field import StrawberryField

from datamodel.kinds import Document, Kind
from datamodel.model import Model
from datamodel.names import last_name
from datamodel.node import Node
from gateway.defaults import completed
from gateway.extras import Extras
from gateway.graphql.connection import FIRST_DEFAULT, connection_type, page_of
from gateway.graphql.context import Children, Info
from gateway.graphql.objects import add_fields, object_type, plain, resolved
from gateway.graphql.parts import Parts
from gateway.graphql.scalars import JSON, DateTime, Long
from gateway.page import Found, Page, has_phase


@strawberry.interface(name="Node", description="What every node of the graph has, whatever its kind.")
class NodeInterface:
    path: str
    uid: str
    kind: str
    name: str = strawberry.field(resolver=lambda root: last_name(root.path))
    labels: JSON
    generation: Long
    version: Long
    created_at: DateTime
    deletion_requested_at: DateTime | None
    finalizers: list[str]
    links: JSON

    @classmethod
    def resolve_type(cls, node: Node, *_: object) -> str:
        return node.kind


class Kinds:
    """The object and connection types of a model's kinds."""

    def __init__(self, model: Model, extras: Extras) -> None:
        self._model = model
        parts = Parts()
        self.types = {name: _node_type(kind, parts, extras.statuses.get(name)) for name, kind in model.kinds.items()}
        self._connections = {
            name: connection_type(kind, self.types[name]) for name, kind in model.kinds.items() if not kind.singleton
        }
        for name, kind in model.kinds.items():
            children = [self._child(child) for child in model.children(kind)]
            add_fields(self.types[name], [*children, *self._reverse_links(name)])
            if name in extras.fields:
                add_fields(self.types[name], [extras.fields[name]()])

    def _child(self, kind: type[Kind]) -> StrawberryField:
        name = camel(kind.segment)
        if kind.singleton:
            return resolved(name, self.types[kind.__name__] | None, _singleton(kind.segment), kind.__doc__)
        return resolved(name, self._connections[kind.__name__], _collection(kind), kind.__doc__)

    def _reverse_links(self, target: str) -> list[StrawberryField]:
        return [
            resolved(link.reverse, self._connections[source.__name__], _linked(source.__name__, name), source.__doc__)
            for source in self._model.kinds.values()
            for name, link in source.links.items()
            if link.to == target
        ]


def camel(segment: str) -> str:
    """A path's word as a GraphQL name: `job-groups` → `jobGroups`."""
    first, *others = segment.split("-")
    return first + "".join(word.capitalize() for word in others)


def _node_type(kind: type[Kind], parts: Parts, shown: Callable[[Node], Document] | None) -> Any:
    fields = []
    if (spec := parts.type_of(kind.Spec)) is not None:
        fields.append(plain("spec", spec))
    if (status := parts.type_of(kind.Status)) is not None:
        fields.append(resolved("status", status, _status(kind, shown)))

    def is_type_of(node: Any, _: object) -> bool:
        return isinstance(node, Node) and node.kind == kind.__name__

    return object_type(kind.__name__, fields, _described(kind), interface=NodeInterface, is_type_of=is_type_of)


def _described(kind: type[Kind]) -> str:
    """A kind's documentation with its examples."""
    examples = [f"For example: `{msgspec.json.encode(example).decode()}`" for example in kind.examples]
    return "\n\n".join([cleandoc(kind.__doc__ or ""), *examples])


def _status(kind: type[Kind], shown: Callable[[Node], Document] | None) -> Any:
    def status(root: Node) -> Any:
        return shown(root) if shown is not None else completed(kind.Status, root.status)

    return status


def _singleton(segment: str) -> Any:
    async def singleton(root: Node, info: Info) -> Any:
        info.context.charge(1)
        return await info.context.backend.reads.node(f"{root.path}/{segment}")

    return singleton


def _collection(kind: type[Kind]) -> Any:
    async def load(info: Info, parent: str, page: Page) -> Any:
        info.context.charge(page.limit)
        return await info.context.children.load(Children(kind, parent, page))

    async def by_phase(
        root: Node, info: Info, first: int = FIRST_DEFAULT, after: str | None = None, phase: str | None = None
    ) -> Any:
        return await load(info, root.path, page_of(kind, first, after, phase))

    async def collection(root: Node, info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Any:
        return await load(info, root.path, page_of(kind, first, after, None))

    return by_phase if has_phase(kind) else collection


def _linked(source: str, link: str) -> Any:
    async def linked(root: Node, info: Info, first: int = FIRST_DEFAULT, after: str | None = None) -> Any:
        kind = info.context.backend.model.kinds[source]
        page = page_of(kind, first, after, None)
        info.context.charge(page.limit)
        nodes = await info.context.backend.store.linked(source, link, root.uid, after=page.after, limit=page.limit + 1)
        return Found(nodes[: page.limit], more=len(nodes) > page.limit)

    return linked
