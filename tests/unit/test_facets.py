"""Facets: what a declared field must be, and values that sort and compare as what they stand for."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from datamodel.errors import Invalid
from datamodel.facets import MISSING, TEXT_LIMIT, facets_of, selectable_fields
from datamodel.kinds import Kind, Part, Plane
from datamodel.model import Model
from datamodel.scheduling.attempts import Attempt
from datamodel.scheduling.jobs import Job

PLANE = Plane("garden", frozenset({"user"}), frozenset({"system"}))


class Colour(StrEnum):
    RED = "red"


class Soil(Part):
    is_wet: bool = False
    acidity: Annotated[float, Field(ge=0)] | None = None


class GardenSpec(Part):
    flower_beds: Annotated[int, Field(ge=0)] = 3
    soil: Soil = Soil()
    colour: Colour = Colour.RED
    size: int
    owners: tuple[str, ...] = ()


class GardenStatus(Part):
    phase: Literal["dry", "watered"] = "dry"
    since: datetime | None = None


class Garden(Kind):
    plane, segment, singleton = PLANE, "garden", True
    Spec = GardenSpec
    Status = GardenStatus
    selectable: ClassVar[tuple[str, ...]] = (
        *("spec.flowerBeds", "spec.soil.isWet", "spec.soil.acidity", "spec.colour", "spec.size"),
        *("status.phase", "status.since"),
    )


def declared(*names: str) -> type[Kind]:
    class Other(Garden):
        selectable: ClassVar[tuple[str, ...]] = names

    return Other


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("phase", "begins with neither"),
        ("metadata.name", "begins with neither"),
        ("spec", "begins with neither"),
        ("spec.flower_beds", "has no 'flower_beds'"),
        ("spec.none", "has no 'none'; there is "),
        ("spec.soil.none", "has no 'none'"),
        ("spec.size.none", "has no 'none'"),
        ("spec.soil", "is no text, number, flag or time"),
        ("spec.owners", "is no text, number, flag or time"),
    ],
)
def test_a_field_that_is_no_scalar_of_the_kind_is_refused_by_the_model(name: str, why: str) -> None:
    kind = declared(name)
    with pytest.raises(Invalid, match=f"Other.selectable: '{name}' {why}") as refused:
        Model([kind])
    assert refused.value.field == "selectable"


def test_what_is_not_stored_is_the_declared_default_or_nothing() -> None:
    fields = selectable_fields(Garden)
    facets = facets_of(Garden, {"team": "a"}, {"size": 1}, {})
    assert facets.keys() == {"label:team", *Garden.selectable}
    assert facets["label:team"] == "a"
    assert facets["spec.flowerBeds"] == fields["spec.flowerBeds"].read("3")
    assert (facets["spec.soil.isWet"], facets["spec.soil.acidity"], facets["spec.colour"]) == ("false", MISSING, "red")
    assert (facets["status.phase"], facets["status.since"]) == ("dry", MISSING)
    stored = facets_of(Garden, {}, {"size": 1, "soil": {"isWet": True, "acidity": 6.5}}, {"phase": "watered"})
    assert (stored["spec.soil.isWet"], stored["status.phase"]) == ("true", "watered")
    assert stored["spec.soil.acidity"] == fields["spec.soil.acidity"].read("6.5")


def test_the_scheduling_kinds_are_found_by_what_people_ask_for() -> None:
    assert facets_of(Job, {}, {}, {}) == {"status.phase": "pending"}
    assert facets_of(Attempt, {}, {"index": 1}, {"phase": "running"}) == {}


_numbers = st.one_of(st.integers(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False))


@given(one=_numbers, other=_numbers)
def test_numbers_sort_as_numbers(one: float, other: float) -> None:
    field = selectable_fields(Garden)["spec.size"]
    values = [field.value({"size": number}, {}) for number in (one, other)]
    if float(one) < float(other):
        assert values[0] < values[1]
    elif float(one) == float(other):
        assert values[0] == values[1]
    assert field.read(str(float(one))) == values[0]


def test_a_number_that_no_double_holds_is_the_largest_or_smallest() -> None:
    field = selectable_fields(Garden)["spec.size"]
    assert field.value({"size": 10**400}, {}) == field.read("inf")
    assert field.value({"size": -(10**400)}, {}) == field.read("-inf")


def test_a_text_is_cut() -> None:
    field = selectable_fields(Job)["status.phase"]
    assert len(field.value({}, {"phase": "x" * 1_000})) == TEXT_LIMIT
    assert field.read("x" * 1_000) == field.value({}, {"phase": "x" * 1_000})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spec.size", "many"),
        ("spec.soil.isWet", "True"),
        ("status.since", "today"),
        ("status.since", "0001-01-01T00:00+09:00"),
    ],
)
def test_a_value_that_the_field_cannot_have_is_refused(name: str, text: str) -> None:
    with pytest.raises(Invalid, match=name) as refused:
        selectable_fields(Garden)[name].read(text)
    assert refused.value.field == "/fieldSelector"
    assert selectable_fields(Garden)[name].read("") == MISSING


_times = st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1))  # noqa: DTZ001


@given(one=_times, other=_times)
def test_times_sort_as_times_wherever_their_clocks_stand(one: datetime, other: datetime) -> None:
    field = selectable_fields(Garden)["status.since"]
    values = [field.value({}, {"since": time.isoformat()}) for time in (one, other)]
    first, second = one.astimezone(UTC), other.astimezone(UTC)
    assert (values[0] < values[1], values[0] == values[1]) == (first < second, first == second)
    assert field.read(first.isoformat().replace("+00:00", "Z")) == values[0]


def test_what_is_no_time_though_it_should_be_does_not_stop_a_write() -> None:
    field = selectable_fields(Garden)["status.since"]
    assert field.value({}, {"since": "noon"}) == "noon"
    assert field.value({}, {"since": "2026-01-01T00:00:00"}) == field.read("2026-01-01T00:00:00Z")


def test_what_is_missing_comes_last_and_so_does_an_empty_text() -> None:
    for name, part in (("spec.colour", {"colour": ""}), ("spec.soil.acidity", {}), ("status.since", {})):
        assert selectable_fields(Garden)[name].value(part, {}) == MISSING
    assert selectable_fields(Garden)["spec.colour"].value({"colour": "\U0010fffe" * 300}, {}) < MISSING
