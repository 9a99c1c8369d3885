"""Sorting: in which order a list comes, and the place of a node in it.

Numbers and times sort as what they are, texts by their first 256 characters in code points. A field without a value, or with
an empty text, comes last in ascending order. Ties are broken by path, and descending is the same order backwards throughout:
so every node has one place in every order, and where it comes is known from the node alone.
"""

from dataclasses import dataclass
from typing import NamedTuple

from datamodel.errors import Invalid
from datamodel.facets import MISSING, selectable_fields
from datamodel.kinds import Kind
from datamodel.node import Node

PATH, CREATED, VERSION = "path", "createdAt", "version"
NUMBERED = frozenset({CREATED, VERSION})
"""By these, a place's key is a position of the log."""
SORT_FIELD = "/sort"

_POSITION_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sort:
    """By `path`, by `createdAt` (in the order of creation), by `version` (in the order of the last change), or by a field that
    the kind declares selectable."""

    name: str = PATH
    descending: bool = False


BY_PATH = Sort()


class Place(NamedTuple):
    """Where a node comes: by its key, and among nodes with the same key by its path. By path, keys are empty."""

    key: str | int
    path: str


def sort_of(text: str) -> Sort:
    """What a person's text says: a name, or a minus and a name for descending."""
    return Sort(text.removeprefix("-"), text.startswith("-"))


def check_sort(sort: Sort, kind: type[Kind] | None) -> None:
    """Raises `Invalid` naming `/sort` where nodes of this kind (None: of any) have no such order."""
    known = (PATH, CREATED, VERSION, *(kind.selectable if kind is not None else ()))
    if sort.name in known:
        return
    if kind is None and sort.name.startswith(("spec.", "status.")):
        raise Invalid("a list is sorted by a field of one kind, which is not named", field=SORT_FIELD)
    raise Invalid(f"nothing is sorted by {sort.name[:80]!r}; there are {', '.join(known)}", field=SORT_FIELD)


def place_of(sort: Sort, kind: type[Kind], node: Node) -> Place:
    """The place of a node of this kind."""
    match sort.name:
        case "path":
            return Place("", node.path)
        case "createdAt":
            return Place(node.created_version, node.path)
        case "version":
            return Place(node.version, node.path)
    return Place(selectable_fields(kind)[sort.name].value(node.spec, node.status), node.path)


def is_before(sort: Sort, place: Place, other: Place) -> bool:
    """Whether one place comes before another."""
    return place > other if sort.descending else place < other


def beginning(sort: Sort) -> Place:
    """Before every place."""
    if sort.name in NUMBERED:
        return Place(_POSITION_MAX, MISSING) if sort.descending else Place(0, "")
    return Place(MISSING, MISSING) if sort.descending else Place("", "")
