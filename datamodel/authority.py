"""Who may write what: the planes' roles and the actors' scopes."""

from datamodel.command import Actor, Command
from datamodel.errors import Forbidden
from datamodel.kinds import Kind


def authorize(actor: Actor, kind: type[Kind], command: Command) -> None:
    """Raises `Forbidden` where the actor may not carry out the command on a node of this kind."""
    plane = kind.plane
    if command.op == "patchStatus":
        writers = plane.status_writers
    else:
        writers = kind.spec_writers if kind.spec_writers is not None else plane.spec_writers
    if command.op == "finalize":
        writers = plane.status_writers | plane.spec_writers
    if actor.role not in writers and not _is_granted(actor, kind, command):
        raise Forbidden(f"{actor.role} may not {command.op} {kind.__name__} in {plane.root}")
    if actor.role in plane.scoped and not _in_scope(actor, command.path[len(plane.root) :]):
        raise Forbidden(f"{actor.name} may not write {command.path}")


def _is_granted(actor: Actor, kind: type[Kind], command: Command) -> bool:
    grant = kind.grants.get(actor.role)
    if grant is None:
        return False
    if command.op == "patchSpec":
        return command.labels is None and command.body in grant.patches
    return command.op in grant.ops


def _in_scope(actor: Actor, place: str) -> bool:
    """Whether a path below a plane's root is one of the actor's scopes or below one. It costs its depth: an actor may
    have many scopes."""
    while place:
        if place in actor.scopes:
            return True
        place = place[: place.rfind("/")]
    return False
