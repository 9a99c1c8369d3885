"""What is different between two moments: of a node, or of a node with everything below it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from msgspec import structs

from datamodel.errors import Invalid
from datamodel.moments import Moment, position_of
from datamodel.node import Node
from datamodel.query import LIMIT_MAX, RECENT, Listed
from datamodel.walk import END, Paths, Span


@dataclass(frozen=True, slots=True)
class Difference:
    """A path at which the graph is another one: the node that was there at the first moment (None: there was none), and the
    one at the second."""

    path: str
    before: Node | None
    after: Node | None

    @property
    def kind(self) -> Literal["created", "deleted", "changed", "replaced"]:
        """`replaced`: another node has the path now."""
        if self.before is None:
            return "created"
        if self.after is None:
            return "deleted"
        return "changed" if self.before.uid == self.after.uid else "replaced"


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences in order of path, up to the path `after`, above which the next page begins (empty at the end). There may be
    none in a page that another one follows. `first` and `second` are the positions of the moments."""

    found: list[Difference]
    after: str
    first: int
    second: int


async def difference(
    store: Listed,
    path: str,
    first: Moment,
    second: Moment,
    *,
    below: bool = True,
    after: str = "",
    limit: int = 100,
    recent: int = RECENT,
) -> Differences:
    """What is different at a path, and with `below` everywhere below it, from one moment to a later one. A page looks at no
    more than `limit` paths. What was changed and changed back is no difference. Raises `Invalid` and `Gone`."""
    for given in (path, after) if after else (path,):
        store.model.locate(given)
    if not 1 <= limit <= LIMIT_MAX:
        raise Invalid(f"a page has 1 to {LIMIT_MAX} differences", field="/limit")
    begin, end = await position_of(store, first, "/from"), await position_of(store, second, "/to")
    if end < begin:
        raise Invalid(f"position {end} is before {begin}", field="/to")
    changed = await _changed(store, path, after, begin, end, limit, below=below, recent=recent)
    found = await differences(store, changed.paths, begin, end)
    return Differences(found, "" if changed.through == END else changed.through, begin, end)


async def differences(store: Listed, paths: Collection[str], begin: int, end: int) -> list[Difference]:
    """The differences at these paths between two positions, in their order."""
    before, after = await store.nodes_at(paths, begin), await store.nodes_at(paths, end)
    found = [Difference(path, before.get(path), after.get(path)) for path in paths]
    return [one for one in found if _content(one.before) != _content(one.after)]


async def _changed(
    store: Listed, path: str, after: str, begin: int, end: int, limit: int, *, below: bool, recent: int
) -> Paths:
    """The paths to be looked at. A node and what is below it are not next to each other in order of path, so it goes first."""

    async def among(span: Span, most: int) -> Paths:
        if end - begin <= recent:
            return await store.changed(span, begin, end, most)
        return await store.places(span, most)

    if after and not below:
        return Paths([], END)
    itself = await among(Span.at(path), 1) if not after else Paths([], path)
    if not below:
        return Paths(itself.paths, END)
    if len(itself.paths) == limit:
        return Paths(itself.paths, path)
    span = Span.below(path)
    rest = await among(span.between(after, END), limit - len(itself.paths))
    return Paths([*itself.paths, *rest.paths], rest.through)


def _content(node: Node | None) -> Node | None:
    """A node without what counts its changes, says who made them, and how it was written."""
    return node and structs.replace(node, version=0, generation=0, owners={}, schema=1)
