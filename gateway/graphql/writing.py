"""Mutations that follow from the declared kinds: `create`, `apply` and `patch` of each kind whose spec users write."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.command import Command, Verdict
from datamodel.errors import Invalid, TendrilError
from datamodel.kinds import Document, Kind
from datamodel.model import Model
from gateway.backend import Backend
from gateway.exposure import is_written_by_users
from gateway.graphql.connection import check_path
from gateway.graphql.context import Info
from gateway.graphql.mutations import input_errors, mutation, payload, replay_guard
from gateway.graphql.objects import given, input_type, plain
from gateway.graphql.parts import Inputs, document_of
from gateway.graphql.scalars import JSON, Long
from gateway.labels import checked_labels
from gateway.once import Once
from gateway.patches import MERGE_PATCH, write_patch

_Writing = Callable[[Once, Document], Awaitable[Verdict]]


def node_mutations(model: Model, types: Mapping[str, Any]) -> list[StrawberryField]:
    """The mutations of all kinds; `types` are the kinds' own."""
    inputs = Inputs()
    return [
        _mutation(verb, kind, types[name], inputs)
        for name, kind in model.kinds.items()
        if is_written_by_users(kind)
        for verb in _WRITING
        if not (kind.singleton and verb == "create")
    ]


def _mutation(verb: str, kind: type[Kind], node_type: Any, inputs: Inputs) -> StrawberryField:
    title = f"{verb.capitalize()}{kind.__name__}"
    name, shown = f"{verb}{kind.__name__}", kind.__name__[0].lower() + kind.__name__[1:]
    described, writing = _WRITING[verb]

    async def do(info: Info, input: Any) -> Any:  # noqa: A002 -- what it is called in GraphQL
        asked = document_of(input)
        try:
            verdict = await _written(info.context.backend, name, kind, asked, writing)
            return {shown: await info.context.backend.node_after(verdict), "userErrors": ()}
        except TendrilError as error:
            return {shown: None, "userErrors": input_errors(error)}

    do.__annotations__["input"] = input_type(f"{title}Input", _fields(verb, inputs.type_of(kind.Spec)))
    do.__doc__ = described.format(kind=kind.__name__)
    return mutation(name, payload(f"{title}Payload", plain(shown, node_type | None)), do)


def _fields(verb: str, spec: Any) -> list[StrawberryField]:
    """What an input has; a kind may have no spec."""
    return [
        plain("path", str, "Where the node is, or is to be."),
        *([given("spec", spec)] if spec is not None else ()),
        given("labels", JSON, _LABELS[verb]),
        *([given("version", Long, "The version that it must have.")] if verb != "create" else ()),
        given("dryRun", bool, "Tell what would be, and write nothing."),
        given("idempotencyKey", str, "Sent again with its key, a mutation does nothing again, for 24 hours."),
    ]


async def _written(backend: Backend, name: str, kind: type[Kind], asked: Document, writing: _Writing) -> Verdict:
    check_path(backend.model, asked["path"], "/path")
    found, _ = backend.model.locate(asked["path"])
    if found is not kind:
        raise Invalid(f"at {asked['path']} there can only be a {found.__name__}", field="/path")
    key, digest = replay_guard(name, asked.get("idempotencyKey"), asked)
    return await writing(Once(backend, key, digest, bool(asked.get("dryRun"))), asked)


async def _create(once: Once, asked: Document) -> Verdict:
    return await once.write(Command("create", asked["path"], asked.get("spec") or {}, _labels(asked)))


async def _apply(once: Once, asked: Document) -> Verdict:
    version = asked.get("version")
    return await once.write(
        Command("apply", asked["path"], asked.get("spec") or {}, _labels(asked), expected_version=version)
    )


async def _patch(once: Once, asked: Document) -> Verdict:
    patch: Document = {"spec": asked.get("spec") or {}}
    if "labels" in asked:
        patch["metadata"] = {"labels": asked["labels"]}
    return await write_patch(once, asked["path"], MERGE_PATCH, patch, asked.get("version"))


def _labels(asked: Document) -> dict[str, str] | None:
    return checked_labels(asked["labels"], "/labels") if asked.get("labels") is not None else None


_WRITING: Mapping[str, tuple[str, _Writing]] = {
    "create": ("Creates a {kind} where there is none yet.", _create),
    "apply": (
        "Makes a {kind} as its spec says, also where there is none; what was applied before and is left out is as by default.",
        _apply,
    ),
    "patch": (
        "Changes what the spec says of a {kind}, and leaves what it leaves out; null is the default again.",
        _patch,
    ),
}
_LABELS = {
    "create": "An object of strings.",
    "apply": "An object of strings, all that it has then; left out, they stay.",
    "patch": "An object of strings, changed as the spec is.",
}
