"""Links: how many targets they have, how they change, and what happens when a target is to go."""

from collections.abc import Sequence

import pytest

from datamodel.audit import Audit
from datamodel.command import Command, Outcome
from datamodel.errors import Conflict, Invalid, NotFound
from datamodel.ports import Store
from datamodel.verify import verify
from tests.plants import GARDEN, PLANT, TRELLIS, graft, grown, link, plant, plant_garden, tend, tended, unlink

NEAR = "/garden/beds/b/plants"


def refused(outcome: Outcome) -> tuple[type[Exception] | None, str]:
    error = next((verdict.error for verdict in outcome if verdict.error is not None), None)
    return type(error) if error is not None else None, error.field if error is not None else ""


async def whole(store: Store) -> None:
    """The projection is the log's, and neither the fold nor the audit has anything to say."""
    found = await verify(store, Audit(GARDEN))
    assert found.clean, str(found)


async def told(store: Store, after: int) -> list[tuple[str, str]]:
    """What happened since: op and last name."""
    return [(event.op, event.path.rpartition("/")[2]) for event in await store.events(after, 1_000)]


async def test_links_are_many_in_order_and_found_on_their_way_back(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, *(plant(name) for name in "abc"))
    near = tuple(f"{NEAR}/{name}" for name in ("c", "a", "b", "a"))
    await tended(garden, plant(near=near, stands=TRELLIS))
    node, uids = await grown(garden, PLANT), sorted([(await grown(garden, path)).uid for path in {*near}])
    assert node.links == {"near": tuple(uids), "stands": ((await grown(garden, TRELLIS)).uid,)}
    for uid in uids:
        assert [found.path for found in await garden.linked("Plant", "near", uid)] == [PLANT]
    event = (await garden.events(node.version - 1, 1))[0]
    assert event.part["links"] == {"near": uids, "stands": list(node.links["stands"])}
    await whole(garden)


@pytest.mark.parametrize(
    ("command", "error", "field"),
    [
        (plant(stands=(TRELLIS, f"{TRELLIS}2")), Invalid, "/links/stands"),
        (Command("create", "/garden/beds/b/grafts/g"), Invalid, "/links/stock"),
        (plant(stands=f"{TRELLIS}9"), NotFound, "/links/stands"),
        (plant(stands="/garden/beds/b"), NotFound, "/links/stands"),
        (link(f"{NEAR}/a", "stands", f"{TRELLIS}2"), Conflict, "/links/stands"),
        (link(f"{NEAR}/a", "near", f"{NEAR}/x"), NotFound, "/links/near"),
        (unlink("/garden/beds/b/grafts/a", "stock", f"{NEAR}/a"), Invalid, "/links/stock"),
        (Command("apply", f"{NEAR}/a", links={"stands": (TRELLIS, f"{TRELLIS}2")}), Invalid, "/links/stands"),
    ],
)
async def test_links_have_as_many_targets_as_declared(
    garden: Store, command: Command, error: type[Exception], field: str
) -> None:
    await plant_garden(garden)
    await tended(garden, Command("create", f"{TRELLIS}2"), plant("a", stands=TRELLIS))
    await tended(garden, graft("a", f"{NEAR}/a"))
    before = await garden.head()
    assert refused(await tend(garden, command)) == (error, field)
    assert await garden.head() == before


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (plant(none=TRELLIS), "/links"),
        (link(PLANT, "none", TRELLIS), "/links"),
        (Command("link", PLANT, {"link": "near"}), "/target"),
        (Command("unlink", PLANT, {"target": TRELLIS}), "/link"),
        (link(PLANT, "near", "/no/where\x00"), "/links/near"),
        (plant(near=(PLANT,) * 1_001), "/links/near"),
    ],
)
async def test_a_link_that_can_never_be_is_invalid(garden: Store, command: Command, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        await tend(garden, command)
    assert raised.value.field == field


async def test_targets_come_and_go_one_by_one(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), plant("a"), plant("b"))
    a, b = await grown(garden, f"{NEAR}/a"), await grown(garden, f"{NEAR}/b")
    await tended(garden, link(PLANT, "near", b.path))
    before = (await garden.head()).position
    (changed,), (again,) = (
        await tended(garden, link(PLANT, "near", a.path)),
        await tended(garden, link(PLANT, "near", a.path)),
    )
    assert (changed.outcome, again.outcome) == ("changed", "unchanged")
    node = await grown(garden, PLANT)
    assert (node.links, node.generation) == ({"near": tuple(sorted([a.uid, b.uid]))}, 1)
    (event,) = await garden.events(before, 10)
    assert (event.op, event.part) == ("linksChanged", {"links": {"near": sorted([a.uid, b.uid])}})
    await tended(garden, unlink(PLANT, "near", b.path))
    assert await garden.linked("Plant", "near", b.uid) == []
    assert [found.path for found in await garden.linked("Plant", "near", a.uid)] == [PLANT]
    await tended(garden, unlink(PLANT, "near", a.path))
    assert (await grown(garden, PLANT)).links == {}
    await whole(garden)


async def test_apply_sets_the_links_that_it_names(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant("a"), plant(stands=TRELLIS, near=f"{NEAR}/a"))
    await tended(garden, Command("apply", PLANT, links={"near": ()}))
    node = await grown(garden, PLANT)
    assert [*node.links] == ["stands"]
    (same,) = await tended(garden, Command("apply", PLANT, links={"stands": (TRELLIS,)}))
    assert same.outcome == "unchanged"
    await whole(garden)


async def test_restrict_refuses_and_names_the_source(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(stands=TRELLIS))
    outcome = await tend(garden, Command("delete", TRELLIS))
    assert refused(outcome)[0] is Conflict
    assert PLANT in str(outcome[0].error)
    await tended(garden, unlink(PLANT, "stands", TRELLIS), Command("delete", TRELLIS))
    await whole(garden)


async def test_what_goes_together_restricts_nothing(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(stands=TRELLIS))
    await tended(garden, Command("delete", "/garden"))
    assert await garden.nodes(["/garden", TRELLIS, PLANT]) == {}
    await whole(garden)


async def test_unlink_happens_with_the_removal(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant("a"), plant("b"), plant(near=(f"{NEAR}/a", f"{NEAR}/b")))
    b = await grown(garden, f"{NEAR}/b")
    before = (await garden.head()).position
    (verdict,) = await tended(garden, Command("delete", f"{NEAR}/a"))
    assert await told(garden, before) == [("linksChanged", "p"), ("deleted", "a")]
    node = await grown(garden, PLANT)
    assert (node.links, node.version, verdict.version) == ({"near": (b.uid,)}, before + 1, before + 2)
    await whole(garden)


async def test_what_goes_itself_is_not_unlinked_before(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant("a"), plant(near=f"{NEAR}/a"))
    before = (await garden.head()).position
    await tended(garden, Command("delete", "/garden/beds/b"))
    assert await told(garden, before) == [("deleted", "p"), ("deleted", "a"), ("deleted", "b")]
    await whole(garden)


async def test_what_is_linked_to_itself_or_to_each_other_can_go_together(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), plant("a"), plant("z", near=PLANT))
    await tended(garden, *(link(PLANT, "near", f"{NEAR}/{name}") for name in ("p", "a", "z")))
    await tended(garden, link(f"{NEAR}/a", "near", PLANT))
    await whole(garden)
    before = (await garden.head()).position
    await tended(garden, Command("delete", "/garden/beds/b"))
    assert await told(garden, before) == [("deleted", name) for name in ("z", "p", "a", "b")]
    await whole(garden)


async def test_what_is_linked_to_itself_can_go_alone(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant())
    await tended(garden, link(PLANT, "near", PLANT))
    before = (await garden.head()).position
    await tended(garden, Command("delete", PLANT))
    assert await told(garden, before) == [("deleted", "p")]
    await whole(garden)


async def test_a_kept_link_dangles(garden: Store) -> None:
    await plant_garden(garden)
    shop = await grown(garden, "/garden/shops/s")
    await tended(garden, plant(seller=shop.path))
    await tended(garden, Command("delete", shop.path))
    assert (await grown(garden, PLANT)).links == {"seller": (shop.uid,)}
    assert [node.path for node in await garden.dangling("Plant", "seller")] == [PLANT]
    await whole(garden)


async def test_cascade_waits_for_the_sources_finalizers(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, Command("create", "/garden/beds/c"), plant(), plant("a", near=PLANT), graft("g", PLANT, "c"))
    await tended(garden, Command("create", "/garden/beds/c/grafts/g/buds/x"))
    before = (await garden.head()).position
    await tended(garden, Command("delete", PLANT))
    assert await told(garden, before) == [("deleted", "x"), ("deletionRequested", "g"), ("deletionRequested", "p")]
    assert (await grown(garden, f"{NEAR}/a")).links != {}, "it is unlinked when its target goes, and not before"
    late = link(f"{NEAR}/a", "near", PLANT), plant("b", near=PLANT)
    assert refused(await tend(garden, late[0])) == (None, "")
    assert refused(await tend(garden, late[1])) == (Conflict, "/links/near")
    await tended(garden, Command("delete", PLANT))
    await whole(garden)
    before = (await garden.head()).position
    await tended(garden, Command("finalize", "/garden/beds/c/grafts/g", {"finalizer": "gardener"}))
    assert await told(garden, before) == [("finalized", "g"), ("linksChanged", "a"), ("deleted", "g"), ("deleted", "p")]
    assert await garden.nodes(["/garden/beds/c", PLANT]) == {"/garden/beds/c": await grown(garden, "/garden/beds/c")}
    await whole(garden)


async def test_a_target_waits_for_the_last_of_its_sources(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), graft("g", PLANT), graft("h", PLANT))
    await tended(garden, Command("delete", PLANT))
    for name, left in (("g", [PLANT]), ("h", [])):
        await tended(garden, Command("finalize", f"/garden/beds/b/grafts/{name}", {"finalizer": "gardener"}))
        assert [*await garden.nodes([PLANT, f"/garden/beds/b/grafts/{name}"])] == left
        await whole(garden)


async def test_a_parent_waits_for_what_its_children_wait_for(garden: Store) -> None:
    """The bed of the plant goes with the plant, and that with the graft in another bed."""
    await plant_garden(garden)
    await tended(garden, Command("create", "/garden/beds/c"), plant(), graft("g", PLANT, "c"))
    await tended(garden, Command("delete", "/garden/beds/b"))
    assert (await grown(garden, "/garden/beds/b")).deletion_requested_at is not None
    await whole(garden)
    await tended(garden, Command("finalize", "/garden/beds/c/grafts/g", {"finalizer": "gardener"}))
    assert await garden.nodes(["/garden/beds/b", PLANT, "/garden/beds/c/grafts/g"]) == {}
    await whole(garden)


async def test_a_ring_of_cascades_goes_as_a_whole(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), *(graft(name, PLANT) for name in "gh"))
    buds = [f"/garden/beds/b/grafts/{name}/buds/{name}" for name in "gh"]
    await tended(garden, *(Command("create", path) for path in buds))
    await tended(garden, link(buds[0], "of", buds[1]), link(buds[1], "of", buds[0]), link(buds[0], "of", buds[0]))
    before = (await garden.head()).position
    await tended(garden, Command("delete", buds[0]))
    assert await told(garden, before) == [("deleted", "h"), ("deleted", "g")]
    await whole(garden)


async def test_what_is_linked_in_the_same_unit_goes_with_all_that_is_below_it(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), plant("q"), graft("g", f"{NEAR}/q"))
    path = "/garden/beds/b/grafts/g"
    await tended(garden, Command("create", f"{path}/buds/x"))
    unit: Sequence[Command] = (
        link(path, "stock", f"{NEAR}/q"),
        Command("apply", path, links={"stock": (PLANT,)}),
        Command("delete", PLANT),
        Command("finalize", path, {"finalizer": "gardener"}),
    )
    await tended(garden, *unit)
    assert await garden.nodes([PLANT, path, f"{path}/buds/x"]) == {}
    await whole(garden)


async def test_links_of_what_is_being_deleted_do_not_change(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), plant("q"), graft("g", PLANT))
    await tended(garden, Command("delete", "/garden/beds/b/grafts/g"))
    moved = Command("apply", "/garden/beds/b/grafts/g", links={"stock": (f"{NEAR}/q",)})
    assert refused(await tend(garden, moved)) == (Conflict, "/links")
