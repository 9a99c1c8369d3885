"""What is shown of a document has its declaration's defaults, wherever in it a part is."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from datamodel.kinds import Part
from gateway.defaults import completed


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
