"""A model: all declared kinds as one checked tree, and the questions that the rest of the code asks of it."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from datamodel.errors import Invalid
from datamodel.kinds import Kind, Plane, Seed
from datamodel.names import check_name

if TYPE_CHECKING:
    from datamodel.books.ledger import LedgerBook  # which reads models itself

_LOCATED_LIMIT = 65_536


class Model:
    """Kinds by name and by place. `book` makes the audit's second account of the ledger, for models whose kinds settle one.
    Raises `Invalid` at construction where the declarations do not make one tree."""

    def __init__(
        self,
        kinds: Iterable[type[Kind]],
        seeds: Sequence[Seed] = (),
        book: "Callable[[], LedgerBook] | None" = None,
    ) -> None:
        self.kinds: dict[str, type[Kind]] = {}
        self._children: dict[type[Kind] | None, dict[str, type[Kind]]] = {None: {}}
        self._located: dict[str, tuple[type[Kind], str]] = {}
        for kind in kinds:
            _check_declaration(kind, self.kinds)
            self.kinds[kind.__name__] = kind
        for kind in self.kinds.values():
            self._place(kind)
        for kind in self.kinds.values():
            self._check_links(kind)
            if kind.settle is not None and book is None:
                raise Invalid(f"{_where(kind)}: it settles a ledger, for which the model has no book", field="book")
        self.book = book
        self.seeds = tuple(seeds)
        for seed in seeds:
            self.locate(seed.path)

    @property
    def planes(self) -> tuple[Plane, ...]:
        return tuple(kind.plane for kind in self._children[None].values())

    def children(self, kind: type[Kind]) -> tuple[type[Kind], ...]:
        return tuple(self._children.get(kind, {}).values())

    def collection(self, kind: type[Kind]) -> str:
        """Where nodes of a kind live, as a path with `{}` for each name: `/garden/beds/{}/flowers/{}`."""
        before = self.collection(kind.parent) if kind.parent is not None else ""
        return f"{before}/{kind.segment}" if kind.singleton else f"{before}/{kind.segment}/{{}}"

    def locate(self, path: str) -> tuple[type[Kind], str]:
        """The kind that lives at a path, and its parent's path (empty for a plane's root). Raises `Invalid`."""
        known = self._located.get(path)
        if known is None:
            known = self._find(path)
            if len(self._located) >= _LOCATED_LIMIT:
                self._located.clear()
            self._located[path] = known
        return known

    def _find(self, path: str) -> tuple[type[Kind], str]:
        """Where a sibling has been found, only the name is new."""
        collection, _, name = path.rpartition("/")
        known = self._located.get(collection + "/")
        if known is not None:
            check_name(name)
            return known
        kind, parent = self._walk(path)
        if not kind.singleton:
            self._located[collection + "/"] = (kind, parent)
        return kind, parent

    def _walk(self, path: str) -> tuple[type[Kind], str]:
        segments = path.split("/")
        if segments[0] or len(segments) < 2:
            raise Invalid(f"{path[:200]!r} is no path: it must begin with '/'", field="/metadata/path")
        kind: type[Kind] | None = None
        parent, here = "", ""
        rest = iter(segments[1:])
        for segment in rest:
            child = self._children.get(kind, {}).get(segment)
            if child is None:
                raise Invalid(f"{path[:200]!r}: nothing is declared at {segment[:80]!r}", field="/metadata/path")
            parent, here, kind = here, f"{here}/{segment}", child
            if not child.singleton:
                name = next(rest, None)
                if name is None:
                    raise Invalid(f"{path[:200]!r} names a collection, not a node", field="/metadata/path")
                here = f"{here}/{check_name(name)}"
        assert kind is not None
        return kind, parent

    def _place(self, kind: type[Kind]) -> None:
        if kind.parent is not None and self.kinds.get(kind.parent.__name__) is not kind.parent:
            raise Invalid(f"{_where(kind)}: its parent {kind.parent.__name__} is not in the model", field="parent")
        siblings = self._children.setdefault(kind.parent, {})
        if kind.segment in siblings:
            raise Invalid(
                f"{_where(kind)}: {kind.segment!r} is taken by {siblings[kind.segment].__name__}", field="segment"
            )
        siblings[kind.segment] = kind

    def _check_links(self, kind: type[Kind]) -> None:
        for name, link in kind.links.items():
            if link.to not in self.kinds:
                raise Invalid(
                    f"{_where(kind)}: link {name!r} goes to {link.to!r}, which is not declared", field="links"
                )


def _check_declaration(kind: type[Kind], known: dict[str, type[Kind]]) -> None:
    if kind.__name__ in known:
        raise Invalid(f"{_where(kind)}: a kind of that name is already in the model", field="kind")
    if kind.parent is None and not (kind.singleton and kind.segment == kind.plane.name):
        raise Invalid(
            f"{_where(kind)}: a kind without a parent is its plane's root, a singleton of its name", field="parent"
        )
    if kind.parent is not None and kind.parent.plane is not kind.plane:
        raise Invalid(f"{_where(kind)}: its plane is not its parent's", field="plane")
    check_name(kind.segment, f"{_where(kind)}.segment")
    if kind.settle is not None and kind.phases is None:
        raise Invalid(f"{_where(kind)}: a kind that settles a ledger needs phases", field="phases")
    if kind.settle is not None and kind.settle.owner not in kind.links:
        raise Invalid(
            f"{_where(kind)}: it settles for its link {kind.settle.owner!r}, which it has not", field="settle"
        )


def _where(kind: type[Kind]) -> str:
    return f"{kind.__module__}.{kind.__name__}"
