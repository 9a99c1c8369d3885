"""What users may do to a kind, read from its declaration."""

from datamodel.errors import Forbidden
from datamodel.kinds import USER, Kind
from datamodel.model import Model


def is_written_by_users(kind: type[Kind]) -> bool:
    """Whether users write the spec. A plane's root has none that anybody should replace."""
    writers = kind.spec_writers if kind.spec_writers is not None else kind.plane.spec_writers
    return USER in writers and kind.parent is not None


def is_deleted_by_users(kind: type[Kind]) -> bool:
    """Whether users delete nodes of it: those that they write, and what they are granted to remove."""
    grant = kind.grants.get(USER)
    return not kind.singleton and (is_written_by_users(kind) or (grant is not None and "delete" in grant.ops))


def check_deletable(model: Model, path: str) -> None:
    """Raises `Forbidden` for singletons: with a plane's root everything in the plane would go."""
    kind, _ = model.locate(path)
    if kind.singleton:
        raise Forbidden(f"{path} is a fixed part of the graph and cannot be deleted")
