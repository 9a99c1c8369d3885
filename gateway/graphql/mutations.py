"""Mutations. What is wrong with the input comes back as `userErrors`, not as an error of the request."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
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


async def delete_node(
    info: Info, path: str, version: Long | None = None, *, dry_run: bool = False, idempotency_key: str | None = None
) -> Any:
    """Deletes a node with everything below it. Where somebody has to clean up first, `deleted` is false and `node` shows
    it until it is gone. `effects` are all nodes that this is about; sent again with its key, it tells none."""
    backend = info.context.backend
    key, digest = replay_guard("deleteNode", idempotency_key, [path, version, dry_run])
    try:
        check_deletable(backend.model, path)
        command = Command("delete", path, expected_version=version)
        (verdict,) = raise_refused(await backend.append((command,), key=key, digest=digest, dry_run=dry_run))
        node = verdict.node
        if verdict.replayed and (present := await backend.reads.node(path)) is not None:
            node = present if present.uid == verdict.uid else None
    except TendrilError as error:
        errors = argument_errors(error, ("/path", "/version"), "/path")
        return {"deleted": False, "node": None, "effects": None, "userErrors": errors}
    effects = effects_of(verdict) if not verdict.replayed else None
    return {"deleted": node is None and not dry_run, "node": node, "effects": effects, "userErrors": ()}


def replay_guard(mutation: str, key: str | None, asked: Any) -> tuple[str, str]:
    """The idempotency key of a mutation, empty where there is none, and the digest of what it stands for."""
    if not key:
        return "", ""
    return key, hashlib.sha256(msgspec.json.encode([mutation, asked], order="sorted")).hexdigest()


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
    return [Finding("/path", error.message)] if is_missing else [into_input(found) for found in user_errors(error)]


def argument_errors(error: TendrilError, arguments: Collection[str], node: str) -> list[Finding]:
    """The same, of the mutations that have these arguments beside a key: what is about none of them is about the one that
    names the node."""
    found = [into_input(found) for found in user_errors(error)]
    return [
        one if one.pointer in (*arguments, "/idempotencyKey") else structs.replace(one, pointer=node) for one in found
    ]


def into_input(found: Finding) -> Finding:
    """A finding with its pointer into the input."""
    for place, named in _PLACES.items():
        if found.pointer == place or found.pointer.startswith(f"{place}/"):
            return structs.replace(found, pointer=named + found.pointer.removeprefix(place))
    return found
