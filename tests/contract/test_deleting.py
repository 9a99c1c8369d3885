"""Deletions that wait: they are found, and the old ones are told with whom they wait for."""

from datetime import UTC, datetime, timedelta

from datamodel.command import Command
from datamodel.overdue import SHOWN, overdue
from datamodel.ports import Store
from tests.plants import PLANT, graft, grown, plant, plant_garden, tended

GRAFT = "/garden/beds/b/grafts/g"


async def test_deletions_that_wait_are_found_page_by_page(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), plant("free"), graft("g", PLANT))
    assert await garden.deleting() == []
    await tended(garden, Command("delete", PLANT), Command("delete", "/garden/beds/b/plants/free"))
    first = await garden.deleting(limit=1)
    assert first == [await grown(garden, GRAFT)]
    assert await garden.deleting(after=GRAFT) == [await grown(garden, PLANT)]
    await tended(garden, Command("finalize", GRAFT, {"finalizer": "gardener"}))
    assert await garden.deleting() == []


async def test_old_ones_are_told_with_their_owner_and_age(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), graft("g", PLANT))
    await tended(garden, Command("delete", PLANT))
    now = (await grown(garden, PLANT)).deletion_requested_at
    assert now is not None
    assert await overdue(garden, now) == []
    assert await overdue(garden, now + timedelta(hours=50, minutes=7)) == [
        f"{GRAFT}: its deletion was requested 50 h 07 min ago, and waits for its finalizer 'gardener'",
        f"{PLANT}: its deletion was requested 50 h 07 min ago, and waits for nodes below it or linked to it",
    ]


async def test_of_very_many_the_first_are_named(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(), *(graft(f"g{number}", PLANT) for number in range(SHOWN + 5)))
    await tended(garden, Command("delete", PLANT))
    told = await overdue(garden, datetime.now(UTC) + timedelta(hours=2))
    assert (len(told), told[-1]) == (SHOWN + 1, "… and 6 more")
