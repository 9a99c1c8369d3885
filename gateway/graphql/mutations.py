"""Mutations. What is wrong with the input comes back as `userErrors`, not as an error of the request."""

from collections.abc import Sequence
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from datamodel.errors import TendrilError, Transient
from gateway.exposure import check_deletable
from gateway.graphql.context import Info
from gateway.graphql.node import NodeInterface
from gateway.graphql.objects import object_type, plain, resolved
from gateway.problem import Finding, detail_of, findings


@strawberry.type(
    description="One thing that is wrong; `pointer` is a JSON pointer into the input, empty for all of it."
)
class UserError:
    pointer: str
    message: str


def mutation_type(extra: Sequence[StrawberryField]) -> Any:
    """The root type of mutations, with those that there are beside the kinds."""
    deleted = payload("DeleteNodePayload", plain("deleted", bool), plain("node", NodeInterface | None))
    return object_type("Mutation", [*extra, mutation("deleteNode", deleted, delete_node)])


async def delete_node(info: Info, path: str) -> Any:
    """Deletes a node with everything below it. Where somebody has to clean up first, `deleted` is false and `node` shows
    it until it is gone."""
    backend = info.context.backend
    try:
        check_deletable(backend.model, path)
        node = await backend.delete(path)
    except TendrilError as error:
        return {"deleted": False, "node": None, "userErrors": user_errors(error)}
    return {"deleted": node is None, "node": node, "userErrors": ()}


def mutation(name: str, answer: Any, resolver: Any) -> StrawberryField:
    """A mutation that its resolver's docstring describes."""
    return resolved(name, answer, resolver, resolver.__doc__)


def payload(name: str, *fields: StrawberryField) -> Any:
    """The type of what a mutation answers."""
    return object_type(name, [*fields, plain("userErrors", list[UserError])])


def user_errors(error: TendrilError) -> list[Finding]:
    """What the user can do something about. A store that does not answer is an error of the request."""
    if isinstance(error, Transient):
        raise error
    return list(findings(error)) or [Finding("", detail_of(error))]
