"""A model: all declared kinds as one checked tree, and the questions that the rest of the code asks of it."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from datamodel.declarations import check_kind, check_part_names, meant, wrong, wrong_at
from datamodel.errors import Invalid
from datamodel.facets import selectable_fields
from datamodel.kinds import Kind, Plane, Seed
from datamodel.names import check_name
from datamodel.parts import normal_spec

if TYPE_CHECKING:
    from datamodel.books.ledger import Judge, LedgerBook  # which reads models itself

_LOCATED_LIMIT = 8_192


class Model:
    """Kinds by name and by place. `judge` makes the audit's second account of the ledger, for models whose kinds settle one.
    Raises `Invalid` at construction where the declarations do not make one tree."""

    def __init__(
        self,
        kinds: Iterable[type[Kind]],
        seeds: Sequence[Seed] = (),
        judge: "Callable[[LedgerBook], Judge] | None" = None,
    ) -> None:
        self.kinds: dict[str, type[Kind]] = {}
        self._children: dict[type[Kind] | None, dict[str, type[Kind]]] = {None: {}}
        self._located: dict[str, tuple[type[Kind], str]] = {}
        self._reverse: dict[tuple[str, str], tuple[type[Kind], str]] = {}
        for kind in kinds:
            check_kind(kind)
            _check_declaration(kind, self.kinds)
            self.kinds[kind.__name__] = kind
        check_part_names(self.kinds.values())
        for kind in self.kinds.values():
            self._place(kind)
        for kind in self.kinds.values():
            self._check_links(kind)
            if kind.settle is not None and judge is None:
                raise wrong(kind, "settle", "it settles a ledger, for which the model has no judge")
        self.judge = judge
        self.binding = {
            kind: bound
            for kind, declared in self.kinds.items()
            if (bound := {name: link for name, link in declared.links.items() if link.gone != "keep"})
        }
        """By kind, the links that matter when their target is to go."""
        self.seeds = tuple(seeds)
        for seed in self.seeds:
            try:
                self._check_seed(seed)
            except Invalid as error:  # a seed is no class: what is known is where the model is made
                raise wrong_at(inspect.stack(0)[1].frame, "seeds", f"seed {seed.path}: {error.message}") from error

    @property
    def planes(self) -> tuple[Plane, ...]:
        return tuple(kind.plane for kind in self._children[None].values())

    def includes(self, other: "Model") -> bool:
        """Whether it has all kinds of another."""
        return all(self.kinds.get(name) is kind for name, kind in other.kinds.items())

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
            below = self._children.get(kind, {})
            child = below.get(segment)
            if child is None:
                says = f"{path[:200]!r}: nothing is declared at {segment[:80]!r}{meant(segment[:80], below)}"
                raise Invalid(says, field="/metadata/path")
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
            raise wrong(kind, "parent", f"{kind.parent.__name__} is not in the model")
        siblings = self._children.setdefault(kind.parent, {})
        if kind.segment in siblings:
            raise wrong(kind, "segment", f"{kind.segment!r} is taken by {siblings[kind.segment].__name__}")
        siblings[kind.segment] = kind

    def _check_links(self, kind: type[Kind]) -> None:
        for name, link in kind.links.items():
            if link.to not in self.kinds:
                raise wrong(kind, "links", f"{name!r} goes to {link.to!r}, which is not declared")
            taken = self._reverse.setdefault((link.to, link.reverse), (kind, name))
            if taken != (kind, name):
                raise wrong(kind, "links", f"the way back of {name!r}, {link.reverse!r}, is that of {taken[1]!r} too")
            if any(link.reverse == child.segment for child in self.children(self.kinds[link.to])):
                raise wrong(
                    kind, "links", f"the way back of {name!r} is named as children of {link.to}: {link.reverse!r}"
                )
            if link.required and link.gone == "unlink":
                raise wrong(kind, "links", f"{name!r} is required, and cannot be unlinked when its target goes")

    def _check_seed(self, seed: Seed) -> None:
        """Seeds are written in their order, so what is above one is a seed that comes before it."""
        kind, parent = self.locate(seed.path)
        normal_spec(kind, seed.spec)
        before = [other.path for other in self.seeds[: self.seeds.index(seed)]]
        if parent and parent not in before:
            raise Invalid("its parent is no seed before it")


def _check_declaration(kind: type[Kind], known: dict[str, type[Kind]]) -> None:
    if kind.__name__ in known:
        raise wrong(kind, "__name__", "a kind of that name is already in the model")
    if kind.parent is None and not (kind.singleton and kind.segment == kind.plane.name):
        raise wrong(kind, "parent", "a kind without a parent is its plane's root, a singleton of its name")
    if kind.parent is not None and kind.parent.plane is not kind.plane:
        raise wrong(kind, "plane", "it is not its parent's")
    selectable_fields(kind)
    if kind.settle is not None and kind.phases is None:
        raise wrong(kind, "phases", "a kind that settles a ledger needs some")
    if kind.settle is not None and kind.settle.owner not in kind.links:
        raise wrong(kind, "settle", f"it settles for its link {kind.settle.owner!r}, which it has not")
    if kind.settle is not None and kind.links[kind.settle.owner].gone == "unlink":
        raise wrong(kind, "settle", f"it settles for its link {kind.settle.owner!r}, which must stay")
