"""Object types of kinds: a node's own fields, its parts, its children and the links that lead to it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from inspect import cleandoc
from typing import Any

import msgspec
from strawberry.types.field import StrawberryField

from datamodel.kinds import Document, Kind
from datamodel.model import Model
from datamodel.node import Node
from datamodel.plan import Query
from gateway.backend import Backend
from gateway.defaults import completed
from gateway.extras import Extras
from gateway.graphql.connection import Narrow, connection, connection_type
from gateway.graphql.context import Context, Info
from gateway.graphql.node import NodeInterface
from gateway.graphql.objects import Load, add_fields, derived, listed, loaded, object_type, plain, resolved
from gateway.graphql.parts import Parts
from gateway.graphql.past import past_fields
from gateway.graphql.selection import Selection
from gateway.graphql.subscriptions import subscription
from gateway.rest.kinds import plural_of


class Kinds:
    """The object and connection types of a model's kinds."""

    def __init__(self, model: Model, extras: Extras) -> None:
        self._model = model
        parts = Parts()
        self.types = {name: _node_type(kind, parts, extras.statuses.get(name)) for name, kind in model.kinds.items()}
        several = {name: kind for name, kind in model.kinds.items() if not kind.singleton}
        self._connections = {name: connection_type(kind, self.types[name]) for name, kind in several.items()}
        self._selections = {name: Selection(kind) for name, kind in several.items()}
        for name, kind in model.kinds.items():
            children = [self._child(child) for child in model.children(kind)]
            add_fields(self.types[name], [*children, *self._reverse_links(name)])
            if name in extras.fields:
                add_fields(self.types[name], extras.fields[name]())
            add_fields(self.types[name], self._links(kind))
            taken = self._taken(kind)
            add_fields(
                self.types[name], [field for field in past_fields(of_node=True) if field.python_name not in taken]
            )

    def _child(self, kind: type[Kind]) -> StrawberryField:
        name = camel(kind.segment)
        if kind.singleton:
            return resolved(name, self.types[kind.__name__] | None, _singleton(kind.segment), kind.__doc__)
        return self._connection(name, kind, _below)

    def _connection(self, name: str, kind: type[Kind], of: Narrow) -> StrawberryField:
        resolver = connection(kind, self._selections[kind.__name__], of)
        return resolved(name, self._connections[kind.__name__], resolver, kind.__doc__)

    def everywhere(self) -> Any:
        """A type with a connection for each kind, of its nodes wherever they are."""
        fields = [
            resolved(
                camel(plural_of(self._model, self._model.kinds[name])),
                found,
                connection(self._model.kinds[name], self._selections[name], _anywhere, under=True),
                self._model.kinds[name].__doc__,
            )
            for name, found in self._connections.items()
        ]
        return object_type("Kinds", fields, "The nodes of each kind, wherever they are.")

    def changes(self) -> Any:
        """The root type of subscriptions, with what becomes of each kind's nodes."""
        fields = [
            subscription(
                camel(plural_of(self._model, self._model.kinds[name])),
                self._model.kinds[name],
                self.types[name],
                self._selections[name],
            )
            for name in self._connections
        ]
        return object_type("Subscription", fields, "All nodes of a kind, and then what becomes of them.")

    def _links(self, kind: type[Kind]) -> list[StrawberryField]:
        """Where a kind's links lead. One that is named as something else of the kind is shown in `links` alone."""
        fields, taken = [], self._taken(kind)
        for name, link in kind.links.items():
            found = self.types[link.to]
            if camel(name) not in taken:
                described = f"Where its link `{name}` leads, as far as that is there still."
                leads_to = listed(found) if link.many else found | None
                fields.append(loaded(camel(name), leads_to, _targets(name, many=link.many), described))
        return fields

    def _taken(self, kind: type[Kind]) -> set[str]:
        """The names of the fields that a kind has."""
        made: tuple[Any, Any] = (NodeInterface, self.types[kind.__name__])
        known = [field for of in made for field in of.__strawberry_definition__.fields]
        return {camel(field.python_name.replace("_", "-")) for field in known}

    def _reverse_links(self, target: str) -> list[StrawberryField]:
        return [
            self._connection(camel(link.reverse), source, _linked_by(name))
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
        fields.append(derived("status", status, _status(kind, shown)))

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
        info.context.charge(1, segment)
        return await info.context.backend.reads.node(f"{root.path}/{segment}")

    return singleton


def _targets(link: str, *, many: bool) -> Load:
    async def targets(context: Context, nodes: Sequence[Node]) -> Sequence[Any]:
        wanted = [node.links.get(link, ()) for node in nodes]
        uids = [uid for of in wanted for uid in of]
        context.charge(len(uids), "links")
        await context.together()
        known = dict(zip(uids, await context.batch(_by_uid).get_all(uids), strict=True))
        found = [[node for uid in of if (node := known[uid]) is not None] for of in wanted]
        return found if many else [next(iter(of), None) for of in found]

    return targets


async def _by_uid(backend: Backend, uids: Collection[str]) -> dict[str, Node]:
    return await backend.store.nodes_of(uids)


def _anywhere(query: Query, _: Any) -> Query:
    return query


def _below(query: Query, root: Node) -> Query:
    return replace(query, under=root.path)


def _linked_by(link: str) -> Narrow:
    def linked(query: Query, root: Node) -> Query:
        return replace(query, link=link, target=root.uid)

    return linked
