"""What is offered for a model beside what follows from its declarations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.kinds import Document
from datamodel.node import Node
from gateway.backend import Backend
from gateway.rest.route import DirectRoute


def _no_routes(_: Backend) -> Sequence[DirectRoute]:
    return ()


def _no_schemas(_: Document) -> None:
    return


def _no_mutations(_: Mapping[str, Any]) -> Sequence[StrawberryField]:
    return ()


@dataclass(frozen=True, slots=True)
class Extras:
    """By default nothing. `fields` and `statuses` are by kind."""

    routes: Callable[[Backend], Sequence[DirectRoute]] = _no_routes
    """Tried before those of the kinds."""
    last_routes: Callable[[Backend], Sequence[DirectRoute]] = _no_routes
    """Tried after all others."""
    schemas: Callable[[Document], None] = _no_schemas
    """Adds to the schemas of the OpenAPI document, and changes them."""
    fields: Mapping[str, Callable[[], Sequence[StrawberryField]]] = field(default_factory=dict)
    """More fields of a kind's GraphQL type."""
    statuses: Mapping[str, Callable[[Node], Document]] = field(default_factory=dict)
    """How GraphQL shows a kind's status, where its declared defaults do not say it all."""
    mutations: Callable[[Mapping[str, Any]], Sequence[StrawberryField]] = _no_mutations
    """Made of the kinds' GraphQL types by name."""
