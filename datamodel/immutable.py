"""Fields that stay as their node was created with them: which they are, and which of them a change would change."""

import types
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from datamodel.kinds import Document, Immutable, Kind
from datamodel.ownership import escaped
from datamodel.parts import normal_spec

_EACH = ""
"""A step of a way that stands for each member of an array or map."""
_NOTHING = object()


class _Way(NamedTuple):
    """The names on the way to an immutable field."""

    steps: tuple[str, ...]
    mark: Immutable

    def below(self, step: str) -> "_Way":
        return _Way((step, *self.steps), self.mark)


def changed_immutable(kind: type[Kind], before: Document, after: Document) -> str | None:
    """The pointer to the first field that two specs of a kind differ in, and must not. Members of arrays are told by their
    place; what a new member has is free."""
    ways = _ways_into(kind.Spec)
    if not ways or _first_difference(ways, before, after) is None:
        return None
    return _first_difference(ways, normal_spec(kind, before), after)  # a field may be younger than what was stored


@cache
def _ways_into(part: type[BaseModel]) -> tuple[_Way, ...]:
    """To each immutable field."""
    return tuple(_found(part, ()))


def _found(annotation: Any, within: tuple[Any, ...]) -> Iterator[_Way]:
    """What is inside of itself is left out: its fields are found where it stands first."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items() if annotation not in within else ():
            inner = _marked(field.metadata) or _found(field.annotation, (*within, annotation))
            yield from (way.below(field.alias or name) for way in inner)
    elif origin is Annotated:
        yield from _marked(annotation.__metadata__) or _found(annotation.__origin__, within)
    elif origin in (Union, types.UnionType):
        for choice in get_args(annotation):
            yield from _found(choice, within)
    else:
        for member in get_args(annotation):
            yield from (way.below(_EACH) for way in _found(member, within))


def _marked(metadata: Iterable[Any]) -> list[_Way]:
    return [_Way((), mark) for mark in metadata if isinstance(mark, Immutable)]


def _first_difference(ways: Sequence[_Way], before: Document, after: Document) -> str | None:
    found = (_difference(way.steps, way.mark, before, after, "/spec") for way in ways)
    return next((difference for difference in found if difference is not None), None)


def _difference(steps: tuple[str, ...], mark: Immutable, before: Any, after: Any, pointer: str) -> str | None:
    if not steps:
        is_free = mark.once is not None and before != mark.once
        return None if is_free or before == after else pointer
    name, rest = steps[0], steps[1:]
    if name == _EACH:
        shared = _members(before).keys() & _members(after).keys()
        pairs = [(key, _members(before)[key], _members(after)[key]) for key in sorted(shared)]
    else:
        pairs = [(name, _member(before, name), _member(after, name))]
    found = (_difference(rest, mark, one, other, f"{pointer}/{escaped(str(key))}") for key, one, other in pairs)
    return next((difference for difference in found if difference is not None), None)


def _member(value: Any, name: str) -> Any:
    return value.get(name, _NOTHING) if isinstance(value, dict) else _NOTHING


def _members(value: Any) -> dict[Any, Any]:
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else {}
