"""JSON patches of a spec: what they do, and which operation an error names."""

from copy import deepcopy
from typing import Any

import pytest

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid, TendrilError
from datamodel.json_patch import OPERATIONS_LIMIT, patched
from datamodel.ports import Store
from tests.plants import PLANT, grown, plant, plant_garden, tend, tended


def patch(*operations: Any) -> Command:
    return Command("jsonPatch", PLANT, {"patch": list(operations)})


async def test_operations_follow_each_other(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(body={"height": 2, "colours": {"leaf": "green", "bud": "red"}}))
    before = await grown(garden, PLANT)
    command = patch(
        {"op": "test", "path": "/height", "value": 2},
        {"op": "replace", "path": "/height", "value": 3},
        {"op": "move", "from": "/colours/bud", "path": "/colours/a~1b"},
        {"op": "copy", "from": "/colours/leaf", "path": "/colours/stem"},
        {"op": "remove", "path": "/colours/leaf"},
        {"op": "add", "path": "/pots/-", "value": {"acidity": 6.5}},
    )
    sent = deepcopy(command)
    await tended(garden, command)
    assert command == sent, "it may have to be decided once more"
    node = await grown(garden, PLANT)
    colours = {"a/b": "red", "stem": "green"}
    assert node.spec == {**before.spec, "height": 3, "colours": colours, "pots": [{"acidity": 6.5, "water": 1}]}
    assert node.generation == 2


@pytest.mark.parametrize(
    ("operations", "error", "field", "says"),
    [
        ([{"op": "test", "path": "/height", "value": 9}], Conflict, "/patch/0", "'/spec/height'"),
        ([{"op": "test", "path": "/colours/none", "value": 9}], Conflict, "/patch/0", "'/spec/colours/none'"),
        (
            [{"op": "remove", "path": "/height"}, {"op": "remove", "path": "/height"}],
            Conflict,
            "/patch/1",
            "'/spec/height'",
        ),
        ([{"op": "add", "path": "/pots/7", "value": {}}], Conflict, "/patch/0", "'/spec/pots/7'"),
        ([{"op": "add", "path": "/height/x", "value": 1}], Conflict, "/patch/0", "'/spec/height/x'"),
        ([{"op": "copy", "from": "/none", "path": "/height"}], Conflict, "/patch/0", "'/spec/height'"),
        ([{"op": "replace", "path": "", "value": 7}], Invalid, "/patch/0", "an object"),
        ([{"op": "remove", "path": ""}], TendrilError, "/patch/0", ""),
        ([{"op": "replace", "path": "/height", "value": -1}], Invalid, "/spec/height", ""),
        ([{"op": "replace", "path": "/species", "value": "lily"}], Invalid, "/spec/species", "stays"),
        ([{"op": "copy", "from": "", "path": "/x"}] * OPERATIONS_LIMIT, Invalid, "/patch/", "deeper"),
        (
            [{"op": "copy", "from": "/colours", "path": f"/colours/{n}"} for n in range(64)],
            Invalid,
            "/patch/",
            "larger",
        ),
    ],
)
async def test_an_error_names_the_operation(
    garden: Store, operations: list[Any], error: type[Exception], field: str, says: str
) -> None:
    await plant_garden(garden)
    await tended(garden, plant(body={"colours": {"leaf": "green" * 20}}))
    before = await grown(garden, PLANT)
    (verdict,) = await tend(garden, patch(*operations))
    assert verdict.error is not None
    assert isinstance(verdict.error, error)
    assert verdict.error.field.startswith(field)
    assert says in verdict.error.message
    assert await grown(garden, PLANT) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "/patch"),
        ({"patch": {"op": "add"}}, "/patch"),
        ({"patch": [{"op": "remove", "path": "/a"}] * (OPERATIONS_LIMIT + 1)}, "/patch"),
        ({"patch": [{"op": "remove", "path": "/a"}, {"op": "explode", "path": "/a"}]}, "/patch/1"),
        ({"patch": ["remove"]}, "/patch/0"),
        ({"patch": [{"op": "add", "path": "/a"}]}, "/patch/0"),
        ({"patch": [{"op": "move", "path": "/a"}]}, "/patch/0"),
        ({"patch": [{"op": "remove"}]}, "/patch/0"),
        ({"patch": [{"op": "remove", "path": "a"}]}, "/patch/0"),
        ({"patch": [{"op": "remove", "path": 7}]}, "/patch/0"),
        ({"patch": [{"op": ["remove"], "path": "/a"}]}, "/patch/0"),
    ],
)
async def test_what_is_no_json_patch_is_invalid(garden: Store, body: dict[str, Any], field: str) -> None:
    await plant_garden(garden)
    await tended(garden, plant())
    with pytest.raises(Invalid) as raised:
        await tend(garden, Command("jsonPatch", PLANT, body))
    assert raised.value.field == field


def test_what_grows_out_of_itself_is_stopped() -> None:
    with pytest.raises(Invalid) as raised:
        patched({"a": {"b": 1}}, [{"op": "copy", "from": "", "path": "/a/b"}] * OPERATIONS_LIMIT)
    assert raised.value.field.startswith("/patch/")
    with pytest.raises(Invalid):
        patched({}, [{"op": "add", "path": "/a" * depth, "value": {}} for depth in range(1, OPERATIONS_LIMIT + 10)])
