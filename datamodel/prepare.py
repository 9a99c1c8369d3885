"""What no present could make acceptable is refused here, before any row is read or lock taken."""

import re
from collections.abc import Sequence

from msgspec import structs

from datamodel.cause import CAUSE_LIMIT, CORRELATION_LIMIT
from datamodel.command import Command, Unit
from datamodel.errors import Invalid
from datamodel.json_patch import check_patch
from datamodel.kinds import Document, Kind
from datamodel.links import TARGETS_LIMIT
from datamodel.model import Model
from datamodel.names import check_labels
from datamodel.parts import check_labels_size, named_spec, normal_spec

KEY_LIMIT = 255
ACTOR_LIMIT = 512
_UID = re.compile(r"[0-9a-f]{32}")


def prepare(model: Model, unit: Unit) -> Unit:
    """The unit with checked specs, as `admit` takes it. Raises `Invalid` for unknown places, broken names, labels, links and
    uids, specs that do not have their kind's shape, and guards that make no sense."""
    _check_guards(unit)
    return structs.replace(unit, commands=tuple([_prepared(model, command) for command in unit.commands]))


def _check_guards(unit: Unit) -> None:
    _check_told(unit.actor.name, "/actor", ACTOR_LIMIT)
    _check_record(unit.cause, unit.correlation)
    if len(unit.key) > KEY_LIMIT:
        raise Invalid(f"an idempotency key has at most {KEY_LIMIT} characters", field="Idempotency-Key")
    if not unit.key.isprintable():
        raise Invalid("an idempotency key has printable characters only", field="Idempotency-Key")
    if unit.key and not unit.atomic:
        raise Invalid("only an atomic unit can be replayed by a key", field="Idempotency-Key")
    if unit.advance is not None and unit.advance.through < unit.advance.after:
        raise Invalid(f"the mark {unit.advance.mark} cannot go back", field="/advance/through")


def _check_record(cause: str, correlation: str) -> None:
    _check_told(cause, "/cause", CAUSE_LIMIT)
    _check_told(correlation, "/correlation", CORRELATION_LIMIT)


def _check_told(text: str, field: str, limit: int) -> None:
    if len(text) > limit or not text.isprintable():
        raise Invalid(f"this has at most {limit} characters, and only printable ones", field=field)


def _prepared(model: Model, command: Command) -> Command:
    kind, _ = model.locate(command.path)
    if command.cause or command.correlation:
        _check_record(command.cause, command.correlation)
    if command.labels:
        check_labels(command.labels)
        check_labels_size(command.labels)
    if command.op == "jsonPatch":
        check_patch(command.body)
    if command.op in ("link", "unlink"):
        _check_link_body(model, kind, command.body)
    if command.op not in ("create", "apply"):
        return command
    if command.uid and _UID.fullmatch(command.uid) is None:
        raise Invalid("a uid is 32 of 0-9 and a-f", field="/metadata/uid")
    for name, paths in command.links.items():
        _check_link(model, kind, name, paths)
    complete = normal_spec if command.op == "create" else named_spec
    return structs.replace(command, body=complete(kind, command.body))


def _check_link_body(model: Model, kind: type[Kind], body: Document) -> None:
    for name in ("link", "target"):
        if not isinstance(body.get(name), str):
            raise Invalid(f"{name!r} is a string: a link has a name, and its target a path", field=f"/{name}")
    _check_link(model, kind, body["link"], (body["target"],))


def _check_link(model: Model, kind: type[Kind], name: str, paths: Sequence[str]) -> None:
    if name not in kind.links:
        raise Invalid(f"{kind.__name__} has no link {name[:80]!r}", field="/links")
    if len(paths) > TARGETS_LIMIT:
        raise Invalid(f"the link {name!r} has {len(paths)} targets; at most {TARGETS_LIMIT}", field=f"/links/{name}")
    for path in paths:
        try:
            model.locate(path)
        except Invalid as error:
            raise Invalid(f"link {name!r}: {error.message}", field=f"/links/{name}") from error
