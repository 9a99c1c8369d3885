"""A model whose nodes can be sorted by everything that is a field: shelves of books."""

from datetime import datetime
from typing import Any, ClassVar, Literal

from datamodel.command import Actor, Command
from datamodel.kinds import SYSTEM, USER, Kind, Part, Plane
from datamodel.model import Model
from datamodel.node import Node
from datamodel.scheduling.model import MODEL

LIBRARY = Plane("library", spec_writers=frozenset({USER}), status_writers=frozenset({SYSTEM}))
READER = Actor("ann", USER)

SORTED = ("spec.title", "spec.pages", "spec.price", "spec.isLent", "spec.since", "status.phase")


class Library(Kind):
    plane, segment, singleton = LIBRARY, "library", True


class Shelf(Kind):
    plane, parent, segment = LIBRARY, Library, "shelves"


class BookSpec(Part):
    title: str = ""
    pages: int = 100
    price: float | None = None
    is_lent: bool = False
    since: datetime | None = None


class BookStatus(Part):
    phase: Literal["new", "read", "torn"] = "new"


class Book(Kind):
    plane, parent, segment = LIBRARY, Shelf, "books"
    Spec, Status = BookSpec, BookStatus
    selectable: ClassVar[tuple[str, ...]] = SORTED


BOOKS = Model([*MODEL.kinds.values(), Library, Shelf, Book], MODEL.seeds, MODEL.judge)


def shelf(name: str) -> str:
    return f"/library/shelves/{name}"


def book(name: str, on: str = "a", labels: dict[str, str] | None = None, **spec: Any) -> Command:
    return Command("create", f"{shelf(on)}/books/{name}", spec, labels)


def key_of(sort: str, node: Node) -> Any:
    """What a book is sorted by, said in the plainest way: missing and empty last, and then by path."""
    match sort:
        case "path":
            return (node.path,)
        case "createdAt":
            return (node.created_version,)
        case "version":
            return (node.version,)
    part, _, name = sort.partition(".")
    found: Any = (node.spec if part == "spec" else node.status).get(name)
    found = {"spec.pages": 100, "spec.isLent": False, "status.phase": "new"}.get(sort) if found is None else found
    if sort == "spec.since" and found:
        found = datetime.fromisoformat(found)
    return (found in (None, ""), 0 if found in (None, "") else found, node.path)
