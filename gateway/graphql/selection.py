"""What connections can be asked: the inputs by which nodes of a kind are selected and ordered, and the query that they make."""

from collections.abc import Mapping
from enum import Enum
from types import new_class
from typing import Any

import strawberry
from strawberry import UNSET

from datamodel.errors import Invalid
from datamodel.facets import SelectableField, Type, selectable_fields
from datamodel.kinds import Kind
from datamodel.plan import Query
from datamodel.selectors import VALUES_LIMIT, Operator, Requirement, Selector, label_selector
from datamodel.sorting import BY_PATH, CREATED, PATH, VERSION, Sort
from datamodel.walk import NAME_FIELD
from gateway.graphql.objects import given, input_type, listed
from gateway.graphql.scalars import DateTime
from gateway.page import checked_limit, with_phase

_LABELS, _NAME = "labels", "name"
_enum: Any = Enum  # the type checker knows only those whose members are written down
_OPERATORS: Mapping[str, Operator] = {"eq": "in", "ne": "notin", "in": "in"}


@strawberry.enum(description="Which way an order goes.")
class Direction(Enum):
    ascending = "ascending"
    descending = "descending"


def _filter(name: str, value: Any, description: str) -> Any:
    """The input type of what is asked of one field."""
    fields = [
        given("eq", value, "null is a field without a value, or with an empty text"),
        given("ne", value),
        given("in", listed(value)),
    ]
    return input_type(name, fields, f"{description} Everything that is given must hold.")


_FILTERS: Mapping[Type, Any] = {
    "text": _filter("TextFilter", str, "What a text must be."),
    "number": _filter("NumberFilter", float, "What a number must be."),
    "flag": _filter("FlagFilter", bool, "What a flag must be."),
    "time": _filter("TimeFilter", DateTime, "What a time must be."),
}


class Selection:
    """The inputs of one kind, and how they are read. `status.phase` is `status_phase` in GraphQL, where names have no dots."""

    def __init__(self, kind: type[Kind]) -> None:
        self._kind = kind
        self._fields: dict[str, tuple[str, SelectableField | None]] = {_NAME: (NAME_FIELD, None)}
        for name, field in selectable_fields(kind).items() if kind.selectable else ():
            self._fields[written(name)] = name, field
        types = {
            name: _FILTERS[field.type if field is not None else "text"] for name, (_, field) in self._fields.items()
        }
        self.where = input_type(
            f"{kind.__name__}Where",
            [
                given(_LABELS, str, "a selector as in Kubernetes: `a=b,c!=d,e in (f,g),h,!i`"),
                *(given(name, type_) for name, type_ in types.items()),
            ],
            f"Which {kind.__name__} nodes are meant: those of which all that is given holds.",
        )
        names = (PATH, CREATED, VERSION, *kind.selectable)
        members = {written(name): name for name in names}
        by = strawberry.enum(
            _enum(f"{kind.__name__}OrderBy", members), description=f"What {kind.__name__} nodes can be sorted by."
        )
        self.order = _order(f"{kind.__name__}Order", by)

    def query(self, first: int, where: Any = None, order_by: Any = None, phase: str | None = None) -> Query:
        """The query of such a page, wherever it is. Raises `Invalid` naming the argument."""
        labels, fields = self._selected(where) if where is not None else (Selector(), Selector())
        fields, phases = with_phase(self._kind, fields, phase or "", "/phase")
        sort = BY_PATH
        if order_by is not None:
            sort = Sort(order_by.by.value, order_by.direction is Direction.descending)
        limit = checked_limit(first, "/first")
        return Query(self._kind.__name__, labels=labels, fields=fields, phases=phases, sort=sort, limit=limit)

    def _selected(self, where: Any) -> tuple[Selector, Selector]:
        """The labels and fields that are meant."""
        text = _given(where, _LABELS)
        try:
            labels = label_selector(text or "") if text is not UNSET else Selector()
        except Invalid as error:
            raise Invalid(error.message, field=f"/where/{_LABELS}") from error
        requirements: list[Requirement] = []
        for name, (key, field) in self._fields.items():
            asked = _given(where, name)
            if asked is not UNSET and asked is not None:
                requirements += _requirements(f"/where/{name}", asked, key, field)
        return labels, Selector(tuple(requirements))


def written(name: str) -> str:
    """A field's name as GraphQL can have it."""
    return name.replace(".", "_")


def _order(name: str, by: Any) -> Any:
    namespace: dict[str, Any] = {
        "by": strawberry.field(default=by(PATH)),
        "direction": strawberry.field(default=Direction.ascending),
        "__annotations__": {"by": by, "direction": Direction},
    }
    made = new_class(name, (), {}, lambda body: body.update(namespace))
    return strawberry.input(made, name=name, description="By what, and which way. Ties are in order of path.")


def _requirements(place: str, asked: Any, key: str, field: SelectableField | None) -> list[Requirement]:
    """What is asked of a field. Raises `Invalid` naming it."""
    found = []
    for name, operator in _OPERATORS.items():
        value = _given(asked, name)
        if value is UNSET:
            continue
        values = sorted({_text(item) for item in (value or () if name == "in" else (value,))})
        if not 1 <= len(values) <= VALUES_LIMIT:
            raise Invalid(f"1 to {VALUES_LIMIT} values", field=f"{place}/{name}")
        for text in values if field is not None else ():
            _check(field, text, f"{place}/{name}")
        found.append(Requirement(key, operator, tuple(values)))
    return found


def _check(field: SelectableField | None, value: str, place: str) -> None:
    assert field is not None
    try:
        field.read(value)
    except Invalid as error:
        raise Invalid(error.message, field=place) from error


def _given(source: Any, name: str) -> Any:
    return getattr(source, f"{name}_")


def _text(value: Any) -> str:
    """A value as people write it in a selector; nothing is an empty text."""
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
