"""What is shown of a document has its declaration's defaults, wherever in it a part is."""

import json
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from pydantic import Field

from datamodel.kinds import Kind, Part
from datamodel.scheduling.model import MODEL
from gateway.defaults import completed, completed_to_encode


class Deep(Part):
    """Has a default."""

    name: str
    count: int = 0


class Shown(Part):
    """Has parts in each way that there is."""

    phase: str = "pending"
    one: Deep | None = None
    listed: tuple[Deep, ...] = ()
    bounded: Annotated[list[Deep], Field(max_length=9)] = []
    by_name: dict[str, Deep] = {}
    words: dict[str, str] = {}
    inner: "Shown | None" = None


class Flat(Part):
    """Has none of itself in it."""

    phase: str = "pending"
    ratio: float = 0.0
    one: Deep | None = None
    listed: tuple[Deep, ...] = ()
    none: tuple[Deep, ...] | None = None
    by_name: dict[str, list[Deep]] = {}
    words: dict[str, Any] | None = None
    at: str | None = None


KINDS = sorted(MODEL.kinds.values(), key=lambda kind: kind.__name__)
EMPTY = {"phase": "pending", "listed": [], "bounded": [], "byName": {}, "words": {}}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({}, {}),
        ({"phase": "running"}, {"phase": "running"}),
        ({"one": {"name": "a"}}, {"one": {"name": "a", "count": 0}}),
        (
            {"listed": [{"name": "a"}, {"name": "b", "count": 2}]},
            {"listed": [{"name": "a", "count": 0}, {"name": "b", "count": 2}]},
        ),
        ({"bounded": [{"name": "a"}]}, {"bounded": [{"name": "a", "count": 0}]}),
        ({"byName": {"count": {"name": "a"}}}, {"byName": {"count": {"name": "a", "count": 0}}}),
        ({"words": {"count": "a"}}, {"words": {"count": "a"}}),
        ({"inner": {"byName": {}}}, {"inner": EMPTY}),
    ],
)
def test_what_is_absent_is_shown_as_its_default(stored: dict[str, Any], shown: dict[str, Any]) -> None:
    assert completed(Shown, stored) == EMPTY | shown


def test_what_is_stored_stays_as_it_is() -> None:
    stored = {"byName": {"a": {"name": "a"}}, "listed": [{"name": "b"}]}
    completed(Shown, stored)
    assert stored == {"byName": {"a": {"name": "a"}}, "listed": [{"name": "b"}]}


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
_PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    _PLAIN | _TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXTS, inner, max_size=2),
    max_leaves=4,
)


@cache
def documents(part: type[Part]) -> st.SearchStrategy[dict[str, Any]]:
    """Whatever there could be of a part: any of its members and others, of any value where it is no part."""
    members = {field.alias or name: values(field.annotation) for name, field in part.model_fields.items()}
    others = st.dictionaries(_TEXTS.map(lambda text: f"other{text}"), _VALUES, max_size=1)
    declared = st.fixed_dictionaries({}, optional=members)
    return declared | st.builds(lambda more, known: more | known, others, declared)


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Of a member of this type."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return st.deferred(lambda: documents(annotation))
    inner = [argument for argument in get_args(annotation) if has_part(argument)]
    match get_origin(annotation):
        case _ if not inner:
            return _VALUES
        case origin if origin is dict:
            return st.dictionaries(_TEXTS, values(inner[0]), max_size=2)
        case origin if origin in (list, tuple):
            return st.lists(values(inner[0]), max_size=2)
    return st.none() | values(inner[0])


def has_part(annotation: Any) -> bool:
    is_part = isinstance(annotation, type) and issubclass(annotation, Part)
    return is_part or any(has_part(argument) for argument in get_args(annotation))


@pytest.mark.parametrize("part", [Shown, Flat, *(kind.Status for kind in KINDS)], ids=lambda part: part.__name__)
@given(st.data())
def test_a_text_is_completed_as_its_document(part: type[Part], data: st.DataObject) -> None:
    document = data.draw(documents(part))
    text = msgspec.json.encode(document).decode()
    told = msgspec.json.encode(completed_to_encode(part, Raw(text)))
    assert msgspec.json.decode(told) == msgspec.json.decode(msgspec.json.encode(completed(part, document)))
    assert completed_to_encode(part, document) == completed(part, document)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_kinds_status_is_completed_as_a_text(kind: type[Kind]) -> None:
    assert isinstance(completed_to_encode(kind.Status, Raw("{}")), msgspec.Struct)


@pytest.mark.parametrize(
    "text",
    [
        '{ "phase" : "a\\u00e9\\n\\u2028" }',
        '{"phase": null, "one": null, "words": {"a": null}}',
        '{"ratio": 1e2, "words": {"b": 123456789012345678901234567890, "c": -0.0, "d": 1.0000000000000002}}',
        '{"one": {"name": "\U0001f600"}, "listed": [{"name": ""}, {"name": "a", "count": 18446744073709551615}]}',
        '{"byName": {"": [], "a": [{"name": "b"}]}, "at": "2026-01-02T03:04:05+00:00"}',
    ],
)
def test_no_value_of_a_text_becomes_another(text: str) -> None:
    told = json.loads(msgspec.json.encode(completed_to_encode(Flat, Raw(text))))
    assert told == completed(Flat, json.loads(text))
