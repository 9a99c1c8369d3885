"""Who owns which field: whoever changed it last, told by the longest pointer that leads to it.

A node's fields are the leaves of its spec and labels: scalars, arrays and empty objects. `owners` maps JSON pointers to names
of actors: the empty one leads to whoever owns all the rest. The principle is that of Kubernetes' server-side apply, without
its conflicts: what a document names, its writer sets; what it does not name goes only where its writer owns it.
"""

from typing import Any

from datamodel.errors import Invalid
from datamodel.kinds import Document

Owners = dict[str, str]

SPEC, LABELS = "/spec", "/metadata/labels"
"""Where the two parts of a node that have owners stand."""

OWNERS_LIMIT_CHARACTERS = 64 * 1024

_NOTHING: Any = object()


def owned(spec: Document, labels: dict[str, str]) -> Document:
    """The part of a node that has owners."""
    return {"spec": spec, "metadata": {"labels": labels}}


def transferred(owners: Owners, before: Document, after: Document, actor: str) -> Owners:
    """The owners once `actor` has made `after` of `before`: what differs is its own. Nothing is said twice."""
    root = owners.get("", "")
    if len(owners) == 1 and root == actor:
        return owners
    found: Owners = {}
    whole = _gather(owners, before, after, actor, "", root, found)
    if whole is not None:
        return {"": whole}
    return {"": root, **{pointer: owner for pointer, owner in found.items() if owner != root}}


def applied(owners: Owners, present: Document, wanted: Document, actor: str, pointer: str) -> Document:
    """What the document at a pointer is once `actor` has applied `wanted` to it. None of the arguments is changed."""
    above = pointer
    while above and above not in owners:
        above = above[: above.rfind("/")]
    return _merged(owners, present, wanted, actor, pointer, owners.get(above, ""))


def check_owners(owners: Owners) -> None:
    """Raises `Invalid` where they take more room than they may."""
    size = sum(map(len, owners)) + sum(map(len, owners.values()))
    if size > OWNERS_LIMIT_CHARACTERS:
        raise Invalid(f"so many fields have owners of their own that to tell them takes {size} characters", field=SPEC)


def escaped(name: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def _gather(
    owners: Owners, before: Any, after: Any, actor: str, pointer: str, inherited: str, found: Owners
) -> str | None:
    """Who owns all leaves of a value; None where they have several owners, of whom `found` tells then."""
    inherited = owners.get(pointer, inherited)
    if not isinstance(after, dict) or not after:
        return inherited if before == after else actor
    alike = len(owners) <= 1  # then what has not changed has one owner, and need not be looked into
    members = before if isinstance(before, dict) else {}
    each: dict[str, str | None] = {}
    several: set[str | None] = set()
    for name, value in after.items():
        known = members.get(name, _NOTHING)
        if alike and known == value:
            several.add(inherited)
            continue
        below = f"{pointer}/{escaped(name)}"
        each[below] = _gather(owners, known, value, actor, below, inherited, found)
    several.update(each.values())
    if len(several) == 1:
        return several.pop()
    found.update((below, owner) for below, owner in each.items() if owner is not None)
    return None


def _merged(owners: Owners, present: Document, wanted: Document, actor: str, pointer: str, inherited: str) -> Document:
    inherited = owners.get(pointer, inherited)
    merged = {}
    for name, value in present.items():
        below = f"{pointer}/{escaped(name)}"
        if name not in wanted:
            left = _left(owners, value, actor, below, inherited)
            if left is not _NOTHING:
                merged[name] = left
        elif isinstance(wanted[name], dict):
            inner = value if isinstance(value, dict) else {}
            merged[name] = _merged(owners, inner, wanted[name], actor, below, inherited)
        else:
            merged[name] = wanted[name]
    return {**merged, **{name: value for name, value in wanted.items() if name not in present}}


def _left(owners: Owners, value: Any, actor: str, pointer: str, inherited: str) -> Any:
    """A value without the leaves that an actor owns; nothing, where it has no others."""
    inherited = owners.get(pointer, inherited)
    if not isinstance(value, dict) or not value:
        return _NOTHING if inherited == actor else value
    left = {
        name: kept
        for name, inner in value.items()
        if (kept := _left(owners, inner, actor, f"{pointer}/{escaped(name)}", inherited)) is not _NOTHING
    }
    return left or _NOTHING
