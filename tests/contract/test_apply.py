"""Apply by several writers, and fields that do not change."""

from typing import Any

import pytest
from msgspec import structs

from datamodel.audit import Audit
from datamodel.command import Actor, Command
from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.verify import verify
from tests.graph import job, new_job, refusal, send
from tests.plants import GARDEN, GARDENER, PLANT, grown, plant, plant_garden, tend, tended

TOM = Actor("tom", "user")


async def apply(
    store: Store, actor: Actor, spec: dict[str, Any], labels: dict[str, str] | None = None, outcome: str = "changed"
) -> Node:
    (verdict,) = await tended(store, Command("apply", PLANT, spec, labels), actor=actor)
    assert verdict.outcome == outcome
    return await grown(store, PLANT)


async def whole(store: Store) -> None:
    found = await verify(store, Audit(GARDEN))
    assert found.clean, str(found)


async def test_a_writer_alone_replaces_all(garden: Store) -> None:
    await plant_garden(garden)
    await apply(garden, GARDENER, {"height": 4, "colours": {"leaf": "green"}}, {"a": "1", "b": "2"})
    await apply(garden, GARDENER, {"height": 4, "colours": {"leaf": "green"}}, {"a": "1", "b": "2"}, "unchanged")
    node = await apply(garden, GARDENER, {"colours": {"bud": "red"}}, {"b": "3"})
    assert (node.spec["height"], node.spec["colours"], node.labels) == (1, {"bud": "red"}, {"b": "3"})
    assert node.owners == {"": "mary"}
    await whole(garden)


async def test_what_others_wrote_stays_unless_it_is_named(garden: Store) -> None:
    await plant_garden(garden)
    await apply(garden, GARDENER, {"height": 4, "colours": {"leaf": "green"}}, {"a": "1"})
    node = await apply(garden, TOM, {"colours": {"bud": "red"}}, {"t": "1"})
    assert (node.spec["height"], node.spec["colours"]) == (4, {"bud": "red", "leaf": "green"})
    assert node.labels == {"a": "1", "t": "1"}
    assert node.owners == {"": "mary", "/spec/colours/bud": "tom", "/metadata/labels/t": "tom"}
    node = await apply(garden, GARDENER, {"colours": {"stem": "brown"}}, {})
    assert (node.spec["height"], node.spec["colours"]) == (1, {"bud": "red", "stem": "brown"})
    assert node.labels == {"t": "1"}
    node = await apply(garden, GARDENER, {"colours": {"bud": "blue"}})
    assert (node.spec["colours"], node.owners) == ({"bud": "blue"}, {"": "mary", "/metadata": "tom"})
    node = await apply(garden, TOM, {}, outcome="unchanged")
    assert node.spec["colours"] == {"bud": "blue"}
    await whole(garden)


async def test_a_patched_field_is_the_patchers(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(body={"height": 2}))
    await tended(garden, Command("patchSpec", PLANT, {"height": 7, "soil": {"water": 2}}), actor=TOM)
    node = await grown(garden, PLANT)
    assert node.owners == {"": "mary", "/spec/height": "tom", "/spec/soil/water": "tom"}
    node = await apply(garden, GARDENER, {"colours": {"leaf": "green"}})
    assert (node.spec["height"], node.spec["soil"]["water"]) == (7, 2)
    await tended(garden, Command("patchSpec", PLANT, {"height": 1}))
    assert (await grown(garden, PLANT)).owners == {"": "mary", "/spec/soil/water": "tom"}
    await whole(garden)


async def test_a_default_is_not_what_a_document_names(garden: Store) -> None:
    """Else whoever applies would set back what he has never heard of."""
    await plant_garden(garden)
    await apply(garden, GARDENER, {"height": 2})
    await tended(garden, Command("patchSpec", PLANT, {"soil": {"water": 5}}), actor=TOM)
    node = await apply(garden, GARDENER, {"height": 3, "soil": {}})
    assert node.spec["soil"]["water"] == 5
    node = await apply(garden, GARDENER, {"height": 3, "soil": {"water": 1}})
    assert (node.spec["soil"]["water"], node.owners) == (1, {"": "mary"})


async def test_owners_have_a_size(garden: Store) -> None:
    await plant_garden(garden)
    many = {f"{number:03}" + "x" * 200: "green" for number in range(400)}
    await tended(garden, plant(body={"colours": many}))
    other = {name: "red" for number, name in enumerate(many) if number % 2}
    assert refusal(await tend(garden, Command("patchSpec", PLANT, {"colours": other}), actor=TOM)) is None
    names = {"y" * 1000 + str(number): "red" for number in range(70)}
    outcome = await tend(garden, Command("patchSpec", PLANT, {"colours": names}), actor=TOM)
    assert refusal(outcome) is Invalid
    await whole(garden)


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"species": "lily"}, "/spec/species"),
        ({"species": None, "height": 9}, None),
        ({"soil": {"acidity": 5.5}}, "/spec/soil/acidity"),
        ({"soil": {"water": 9}}, None),
        ({"pots": [{"acidity": 6.0, "water": 3}]}, None),
        ({"pots": [{"acidity": 6.5}]}, "/spec/pots/0/acidity"),
        ({"pots": [{"acidity": 6.0}, {"acidity": 9.0}]}, None),
        ({"depths": {"a": {"acidity": 1.0}}}, "/spec/depths/a/acidity"),
        ({"depths": {"b": {"acidity": 1.0}, "a": None}}, None),
        ({"patent": {"name": "patents", "key": "other"}}, "/spec/patent"),
        ({"patent": None}, "/spec/patent"),
    ],
)
async def test_an_immutable_field_stays(garden: Store, patch: dict[str, Any], pointer: str | None) -> None:
    await plant_garden(garden)
    patent = {"name": "patents", "key": "rose.pem"}
    body = {"species": "rose", "pots": [{"acidity": 6.0}], "depths": {"a": {}}, "patent": patent}
    await tended(garden, plant(body=body))
    before = await grown(garden, PLANT)
    (verdict,) = await tend(garden, Command("patchSpec", PLANT, patch))
    if pointer is None:
        assert verdict.error is None
    else:
        assert (type(verdict.error), verdict.error and verdict.error.field) == (Invalid, pointer)
        assert await grown(garden, PLANT) == before
    await whole(garden)


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"chunks": 2}, "/spec/chunks"),
        ({"steps": [{"name": "x", "image": "busybox"}]}, "/spec/steps"),
        ({"requests": {"cpu": 1}}, "/spec/requests"),
        ({"outputs": {"n": "sum"}}, "/spec/outputs"),
        ({"retries": 9, "workWs": 3.0}, None),
    ],
)
async def test_what_a_jobs_attempts_were_made_of_stays(
    store: Store, patch: dict[str, Any], pointer: str | None
) -> None:
    node = await new_job(store)
    outcome = await send(store, Command("patchSpec", node.path, patch))
    assert refusal(outcome) is (Invalid if pointer else None)
    (applied,) = await send(store, structs.replace(job(), op="apply", body={**node.spec, **patch}))
    assert (applied.error.field if applied.error is not None else None) == pointer


@pytest.mark.parametrize("secret", [{"name": "s", "key": "k", "value": "x"}, {"name": "", "key": "k"}, {"name": "s"}])
async def test_a_secret_is_a_name_and_a_key(garden: Store, secret: dict[str, str]) -> None:
    with pytest.raises(Invalid) as raised:
        await tend(garden, plant(body={"patent": secret}))
    assert raised.value.field.startswith("/spec/patent/")
