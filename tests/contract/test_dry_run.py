"""Dry runs: everything is judged, and nothing is written; and what a command tells of other nodes."""

from datamodel.command import Advance, Command, Fence
from datamodel.errors import Aborted, Conflict, Fenced, Invalid, NotFound
from datamodel.ports import Store
from tests.plants import PLANT, TRELLIS, graft, grown, link, plant, plant_garden, tend, tended

NEAR = "/garden/beds/b/plants"
GRAFT = "/garden/beds/b/grafts/g"


async def planted(store: Store) -> None:
    await plant_garden(store)
    await tended(store, plant(stands=TRELLIS), plant("a", near=PLANT), graft("g", PLANT))


async def test_nothing_is_written(garden: Store) -> None:
    await planted(garden)
    before, node = await garden.head(), await grown(garden, PLANT)
    commands = (
        plant("new", stands=TRELLIS),
        Command("patchSpec", PLANT, {"height": 7}),
        link(f"{NEAR}/a", "near", f"{NEAR}/new"),
        Command("delete", PLANT),
    )
    created, patched, linked, deleted = await tended(garden, *commands, dry_run=True, key="k", digest="d")
    assert [verdict.outcome for verdict in (created, patched, linked, deleted)] == ["changed"] * 4
    assert created.node is not None
    assert (created.version, created.node.version) == (before.position + 1, before.position + 1)
    assert patched.node is not None
    assert (patched.node.spec["height"], patched.node.generation) == (7, 2)
    assert linked.node is not None
    assert len(linked.node.links["near"]) == 2
    assert await garden.head() == before
    assert await garden.nodes([PLANT, f"{NEAR}/new"]) == {PLANT: node}
    (again,) = await tended(garden, Command("patchSpec", PLANT, {"height": 7}), key="k", digest="e")
    assert (again.outcome, again.replayed) == ("changed", False)


async def test_an_empty_one_asks_what_a_key_has_done(garden: Store) -> None:
    await planted(garden)
    before = await garden.head()
    assert await tended(garden, dry_run=True, key="k", digest="d") == ()
    (made,) = await tended(garden, plant("new"), key="k", digest="d")
    (asked,) = await tended(garden, dry_run=True, key="k", digest="d")
    assert (asked.outcome, asked.replayed, asked.uid) == ("unchanged", True, made.uid)
    (refused,) = await tend(garden, dry_run=True, key="k", digest="e")
    assert isinstance(refused.error, Invalid)
    assert (await garden.head()).position == before.position + 1


async def test_what_would_be_refused_is_refused(garden: Store) -> None:
    await planted(garden)
    fence, advance = Fence("none", 1), Advance("mark", 1, 2)
    for commands, guards, error in (
        ((Command("delete", TRELLIS),), {}, Conflict),
        ((plant(),), {}, Conflict),
        ((Command("delete", f"{NEAR}/none"),), {}, NotFound),
        ((Command("patchSpec", PLANT, {"height": 7}, expected_version=1),), {}, Conflict),
        ((plant("x"), plant()), {}, Aborted),
        ((plant("x"),), {"fence": fence}, Fenced),
        ((plant("x"),), {"advance": advance}, Fenced),
    ):
        outcome = await tend(garden, *commands, dry_run=True, **guards)
        assert isinstance(outcome[0].error, error), outcome
    assert f"{NEAR}/x" not in await garden.nodes([f"{NEAR}/x"])


async def test_a_mark_and_a_uid_are_not_used_up(garden: Store) -> None:
    await planted(garden)
    new = Command("create", f"{NEAR}/x", uid="f" * 32)
    for dry_run in (True, True, False):
        await tended(garden, new, advance=Advance("mark", 0, 5), dry_run=dry_run)
    assert (await grown(garden, new.path)).uid == "f" * 32
    assert await garden.marks(["mark"]) == {"mark": 5}


async def test_a_deletion_is_previewed_with_all_that_goes(garden: Store) -> None:
    await planted(garden)
    delete = Command("delete", PLANT)
    (preview,) = await tended(garden, delete, dry_run=True)
    assert preview.effects == (("deletionRequested", GRAFT),)
    assert preview.node is not None
    assert preview.node.deletion_requested_at is not None
    (verdict,) = await tended(garden, delete)
    assert verdict.effects == preview.effects
    finalize = Command("finalize", GRAFT, {"finalizer": "gardener"})
    (preview,) = await tended(garden, finalize, dry_run=True)
    assert preview.effects == (("linksChanged", f"{NEAR}/a"), ("deleted", PLANT))
    (verdict,) = await tended(garden, finalize)
    assert (verdict.effects, verdict.node) == (preview.effects, None)


async def test_a_replayed_key_tells_no_effects(garden: Store) -> None:
    await planted(garden)
    outcomes = [await tended(garden, Command("delete", PLANT), key="k", digest="d") for _ in range(2)]
    assert [bool(outcome[0].effects) for outcome in outcomes] == [True, False]
