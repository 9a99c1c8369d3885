"""Mutations. What is wrong with the input comes back as `userErrors`, not as an error of the request."""

from collections.abc import Collection, Sequence
from typing import Any

import strawberry
from msgspec import structs
from strawberry.types.field import StrawberryField

from datamodel.command import Command, raise_refused
from datamodel.errors import NotFound, TendrilError, Transient
from gateway.deletion import Effects, effects_of
from gateway.exposure import check_deletable
from gateway.graphql.context import Info
from gateway.graphql.node import NodeInterface
from gateway.graphql.objects import object_type, plain, resolved
from gateway.graphql.scalars import Long
from gateway.problem import Finding, detail_of, findings


@strawberry.type(
    description="One thing that is wrong; `pointer` is a JSON pointer into the input, empty for all of it."
)
class UserError:
    pointer: str
    message: str


_PLACES = {
    "/metadata/labels": "/labels",
    "/metadata/version": "/version",
    "/metadata/name": "/path",
    "/metadata/parent": "/path",
    "/metadata/path": "/path",
    "Idempotency-Key": "/idempotencyKey",
}
"""Where in the input stands what the graph names otherwise."""


@strawberry.type(description=Effects.__doc__)
class DeleteEffects:
    deleted: list[str]
    waiting: list[str]
    unlinked: list[str]


def mutation_type(others: Sequence[StrawberryField]) -> Any:
    """The root type of mutations, with those that there are beside the deletion of any node."""
    fields = (plain("deleted", bool), plain("node", NodeInterface | None), plain("effects", DeleteEffects | None))
    return object_type(
        "Mutation", [*others, mutation("deleteNode", payload("DeleteNodePayload", *fields), delete_node)]
    )


async def delete_node(info: Info, path: str, version: Long | None = None, *, dry_run: bool = False) -> Any:
    """Deletes a node with everything below it. Where somebody has to clean up first, `deleted` is false and `node` shows
    it until it is gone. `effects` are all nodes that this is about."""
    backend = info.context.backend
    try:
        check_deletable(backend.model, path)
        command = Command("delete", path, expected_version=version)
        (verdict,) = raise_refused(await backend.append((command,), dry_run=dry_run))
    except TendrilError as error:
        errors = argument_errors(error, ("/path", "/version"), "/path")
        return {"deleted": False, "node": None, "effects": None, "userErrors": errors}
    effects, deleted = effects_of(verdict), verdict.node is None and not dry_run
    return {"deleted": deleted, "node": verdict.node, "effects": effects, "userErrors": ()}


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


def input_errors(error: TendrilError) -> list[Finding]:
    """The same, of the mutations that write nodes as they are: with pointers into their input."""
    is_missing = isinstance(error, NotFound) and not error.field
    return [Finding("/path", error.message)] if is_missing else [_into_input(found) for found in user_errors(error)]


def argument_errors(error: TendrilError, arguments: Collection[str], node: str) -> list[Finding]:
    """The same, of the mutations that have these arguments beside those of any: what is about none of them is about the one
    that names the node."""
    found = [_into_input(found) for found in user_errors(error)]
    return [one if one.pointer in arguments else structs.replace(one, pointer=node) for one in found]


def _into_input(found: Finding) -> Finding:
    """A finding with its pointer into the input."""
    for place, named in _PLACES.items():
        if found.pointer == place or found.pointer.startswith(f"{place}/"):
            return structs.replace(found, pointer=named + found.pointer.removeprefix(place))
    return found
