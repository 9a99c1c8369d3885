"""Fields that stay as they are: from the beginning, or from when they have a value."""

from typing import Annotated

import pytest

from datamodel.immutable import changed_immutable
from datamodel.kinds import IMMUTABLE, Document, Immutable, Kind, Part


class _Lock(Part):
    sealed: Annotated[bool, Immutable(once=True)] = False


class _DoorSpec(Part):
    made_of: Annotated[str, IMMUTABLE] = "oak"
    state: Annotated[str, Immutable(once="gone")] = "open"
    locks: tuple[_Lock, ...] = ()


class Door(Kind):
    Spec = _DoorSpec


@pytest.mark.parametrize(
    ("before", "after", "pointer"),
    [
        ({}, {"madeOf": "ash"}, "/spec/madeOf"),
        ({"state": "open"}, {"state": "shut"}, None),
        ({"state": "shut"}, {"state": "gone"}, None),
        ({"state": "gone"}, {"state": "open"}, "/spec/state"),
        ({"state": "gone"}, {}, "/spec/state"),
        ({}, {"state": "gone"}, None),
        ({"locks": [{"sealed": False}]}, {"locks": [{"sealed": True}]}, None),
        ({"locks": [{}, {"sealed": True}]}, {"locks": [{}, {"sealed": False}]}, "/spec/locks/1/sealed"),
    ],
)
def test_what_must_stay_is_named(before: Document, after: Document, pointer: str | None) -> None:
    assert changed_immutable(Door, {"madeOf": "oak"} | before, {"madeOf": "oak"} | after) == pointer
