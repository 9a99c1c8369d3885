"""What commands make of a node's spec and labels."""

from datamodel.command import Command
from datamodel.errors import Invalid
from datamodel.immutable import changed_immutable
from datamodel.json_patch import patched
from datamodel.kinds import Document, Kind
from datamodel.merge import merged
from datamodel.node import Node
from datamodel.ownership import LABELS, SPEC, applied
from datamodel.parts import normal_spec


def revised_spec(kind: type[Kind], before: Node, command: Command, actor: str) -> Document:
    """The spec as a command of an actor leaves it. Raises `Invalid` where it may not be so."""
    if command.op == "apply":
        wanted = applied(before.owners, before.spec, command.body, actor, SPEC)
    elif command.op == "jsonPatch":
        wanted = patched(before.spec, command.body["patch"], SPEC)
    else:
        wanted = merged(before.spec, command.body)
    spec = normal_spec(kind, wanted)
    if spec == before.spec:
        return before.spec
    pointer = changed_immutable(kind, before.spec, spec)
    if pointer is not None:
        raise Invalid(f"{pointer} of {before.path} stays as it is", field=pointer)
    if kind.reserve is not None and kind.reserve.amounts(spec) != kind.reserve.amounts(before.spec):
        raise Invalid("what a node reserves cannot change", field="/spec/requests")
    return spec


def revised_labels(before: Node, command: Command, actor: str) -> dict[str, str]:
    """The labels as a command of an actor leaves them. A patch names all of them."""
    if command.labels is None:
        return before.labels
    if command.op == "apply":
        return applied(before.owners, before.labels, command.labels, actor, LABELS)
    return command.labels
