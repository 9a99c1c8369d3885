"""Walks over the nodes in some order, a bounded part at a time: what stores offer to those who put pages together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from datamodel.bookmark import Bookmark
from datamodel.node import Node
from datamodel.selectors import Requirement
from datamodel.sorting import BY_PATH, Place, Sort

END = "\U0010ffff"
"""After every path."""
NAME_FIELD = "metadata.name"
"""What is the last name of a path, to those who count."""


@dataclass(frozen=True, slots=True)
class Span:
    """The paths above `after` and below `before`. All text sorts by code point, which is the order of UTF-8's bytes."""

    after: str = ""
    before: str = END

    @classmethod
    def below(cls, path: str) -> "Span":
        """What lies below a path, without it."""
        return cls(f"{path}/", f"{path}0")  # the character after the slash

    @classmethod
    def at(cls, path: str) -> "Span":
        """A path alone."""
        return cls(path[:-1] + chr(ord(path[-1]) - 1) + END, f"{path}\x01")

    def holds(self, path: str) -> bool:
        return self.after < path < self.before

    def between(self, after: str, through: str) -> "Span":
        """The part above `after` and up to `through`, that included."""
        return Span(max(self.after, after), min(self.before, through if through == END else f"{through}\x01"))


@dataclass(frozen=True, slots=True)
class Walk:
    """The present nodes of some kinds in a span, in an order; with a `facet`, those that have one of its values; with a `link`,
    those of which it leads to the uid `target`. It has one of both at most."""

    kinds: tuple[str, ...]
    span: Span
    facet: str = ""
    values: tuple[str, ...] = ()
    sort: Sort = BY_PATH
    link: str = ""
    target: str = ""

    def is_like(self, other: "Walk") -> bool:
        """Whether it differs from another walk in its span and target at most: then both can be taken at once."""
        return (self.kinds, self.facet, self.values, self.sort, self.link) == (
            other.kinds,
            other.facet,
            other.values,
            other.sort,
            other.link,
        )


@dataclass(frozen=True, slots=True)
class Walked:
    """All nodes up to the place `through`, in order; None where there are no more. What is walked by path was so at `bookmark`,
    which was the log's end; sorted walks take several reads, and have none."""

    nodes: list[Node]
    through: Place | None
    bookmark: Bookmark | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """All paths up to `through`, in order; `END` where there are no more."""

    paths: list[str]
    through: str


class Walks(Protocol):
    """A bounded part of what there is, in order."""

    async def walk(self, walk: Walk, after: Place | None, limit: int) -> Walked:
        """The next nodes after a place (None: from the beginning). It looks at so many at most for each kind, and may find
        fewer though more follow."""
        ...

    async def walk_each(self, walks: Sequence[tuple[Walk, Place | None]], limit: int) -> list[Walked]:
        """What `walk` finds for each of these walks, which are alike, after its place; `limit` holds for each."""
        ...

    async def count_walk(self, walk: Walk, terms: Sequence[Requirement]) -> int:
        """How many nodes of a walk hold all these terms now; keys are facets (see `datamodel.facets`) and `NAME_FIELD`."""
        ...

    async def count_each(self, walks: Sequence[Walk], terms: Sequence[Requirement]) -> list[int]:
        """What `count_walk` finds for each of these walks, which are alike."""
        ...

    async def changed(self, span: Span, after: int, through: int, limit: int) -> Paths:
        """The next paths at which something happened after a position and up to another. It looks at all events between."""
        ...

    async def places(self, span: Span, limit: int) -> Paths:
        """The next paths at which anything ever happened, as far as the log is kept."""
        ...

    async def places_each(self, spans: Sequence[Span], limit: int) -> list[Paths]:
        """What `places` finds in each of these spans; `limit` holds for each."""
        ...
