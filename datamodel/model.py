"""A model: all declared kinds as one checked tree, and the questions that the rest of the code asks of it."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from datamodel.errors import Invalid
from datamodel.kinds import Document, Kind, Plane, Seed
from datamodel.names import check_name

_LOCATED_LIMIT = 65_536
_ZERO_BYTE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape of a zero byte, and not a backslash that is followed by its letters."""

_encode = msgspec.json.Encoder().encode


class Model:
    """Kinds by name and by place. Raises `Invalid` at construction where the declarations do not make one tree."""

    def __init__(self, kinds: Iterable[type[Kind]], seeds: Sequence[Seed] = ()) -> None:
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
        self.seeds = tuple(seeds)
        for seed in seeds:
            self.locate(seed.path)

    @property
    def planes(self) -> tuple[Plane, ...]:
        return tuple(kind.plane for kind in self._children[None].values())

    def children(self, kind: type[Kind]) -> tuple[type[Kind], ...]:
        return tuple(self._children.get(kind, {}).values())

    def collection(self, kind: type[Kind]) -> str:
        """Where nodes of a kind live, as a path with `{}` for each name: `/config/job-groups/{}/jobs/{}`."""
        before = self.collection(kind.parent) if kind.parent is not None else ""
        return f"{before}/{kind.segment}" if kind.singleton else f"{before}/{kind.segment}/{{}}"

    def locate(self, path: str) -> tuple[type[Kind], str]:
        """The kind that lives at a path, and its parent's path (empty for a plane's root). Raises `Invalid`."""
        head, _, name = path.rpartition("/")
        known = self._located.get(head)
        if known is not None:
            check_name(name)
            return known
        kind, parent = self._walk(path)
        if not kind.singleton:
            if len(self._located) >= _LOCATED_LIMIT:
                self._located.clear()
            self._located[head] = (kind, parent)
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


def normal_spec(kind: type[Kind], spec: Document) -> Document:
    """The spec with its defaults, as it is stored. Raises `Invalid` naming the field under `/spec`."""
    try:
        part = kind.Spec.model_validate(spec)
    except ValidationError as error:
        raise invalid(error, "/spec") from error
    normal = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    _refuse_zero_bytes(_encode(normal), "/spec")
    return normal


def check_status(kind: type[Kind], status: Document) -> None:
    """Raises `Invalid` naming the field under `/status` where a status does not have its kind's shape. It is stored as it
    comes, so the types are strict: what reads it later may count on them."""
    encoded = _encode(status)
    _refuse_zero_bytes(encoded, "/status")
    try:
        kind.Status.model_validate_json(encoded, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise invalid(error, "/status") from error


def _refuse_zero_bytes(encoded: bytes, pointer: str) -> None:
    """Postgres makes no text of a zero byte, so one that got through would fail the transaction of everybody else."""
    if b"\\u0000" in encoded and _ZERO_BYTE.search(encoded):
        raise Invalid(f"{pointer} contains a zero byte, which cannot be stored", field=pointer)


def invalid(error: ValidationError, pointer: str) -> Invalid:
    """Pydantic's findings as our own error: the first one's pointer as its field, all of them as details."""
    details = tuple((pointer + _pointer(found["loc"]), found["msg"]) for found in error.errors(include_url=False))
    field, message = details[0]
    return Invalid(f"{field}: {message}", field=field, details=details[:32])


def _pointer(location: tuple[Any, ...]) -> str:
    if location and location[-1] == "[key]":  # pydantic's mark of a wrong key: the pointer names the member itself
        location = location[:-1]
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')[:200]}" for step in location)


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
