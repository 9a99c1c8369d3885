"""Pages of nodes: their limits, the phases that are asked for, and cursors that are a path."""

import base64
import binascii
import re
from typing import get_args

from datamodel.errors import Invalid
from datamodel.kinds import Kind
from datamodel.selectors import Requirement, Selector

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000
PHASE = "status.phase"

_PATH = re.compile(r"(/[a-z0-9-]{1,63}){1,32}")


def cursor_of(path: str) -> str:
    return base64.urlsafe_b64encode(path.encode()).decode().rstrip("=")


def after_cursor(cursor: str, field: str) -> str:
    """The path that a cursor stands for. Raises `Invalid` naming `field`."""
    try:
        path = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise Invalid("this is no cursor of a list", field=field) from error
    if _PATH.fullmatch(path) is None:
        raise Invalid("this is no cursor of a list", field=field)
    return path


def checked_limit(limit: int, field: str) -> int:
    """The limit itself. Raises `Invalid` naming `field`."""
    if not 1 <= limit <= LIMIT_MAX:
        raise Invalid(f"a page has 1 to {LIMIT_MAX} items", field=field)
    return limit


def has_phase(kind: type[Kind]) -> bool:
    return "phase" in kind.Status.model_fields


def phases_of(kind: type[Kind]) -> tuple[str, ...]:
    """The phases that its status can tell, none where it has none."""
    declared = kind.Status.model_fields.get("phase")
    return get_args(declared.annotation) if declared is not None else ()


def with_phase(kind: type[Kind], fields: Selector, phase: str, field: str) -> tuple[Selector, tuple[str, ...]]:
    """The fields and the stored phases by which nodes are found that have these fields and are in a phase (empty: in any).
    Raises `Invalid` naming `field` where the kind has no such phase."""
    if not phase:
        return fields, ()
    stored = stored_phases(kind, phase, field)
    if PHASE not in kind.selectable:
        return fields, stored
    return Selector((*fields.requirements, Requirement(PHASE, "in", (phase,)))), ()


def stored_phases(kind: type[Kind], phase: str, field: str) -> tuple[str, ...]:
    """The stored phases under which nodes that are shown in `phase` are found: nothing stored is the declared default.
    Raises `Invalid` naming `field` where the kind has no such phase."""
    known = phases_of(kind)
    if phase not in known:
        raise Invalid(f"{kind.__name__} has no such phase; it has {', '.join(known) or 'none'}", field=field)
    return (phase, "") if phase == kind.Status.model_fields["phase"].default else (phase,)
