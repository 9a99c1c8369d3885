"""The interface that every kind's type has."""

import strawberry

from datamodel.names import last_name
from datamodel.node import Node
from gateway.graphql.objects import DERIVED
from gateway.graphql.scalars import JSON, DateTime, Long


def _name(root: Node) -> str:
    return last_name(root.path)


@strawberry.interface(name="Node", description="What every node of the graph has, whatever its kind.")
class NodeInterface:
    path: str
    uid: str
    kind: str
    name: str = strawberry.field(resolver=_name, metadata={DERIVED: _name})
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
