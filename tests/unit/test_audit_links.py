"""What the audit says of links to what has gone."""

from collections.abc import Sequence
from datetime import timedelta

from msgspec import structs

from datamodel.audit import Audit
from datamodel.command import Command
from datamodel.event import Event
from datamodel.seeds import seed
from tests.graph import memory_store
from tests.plants import GARDEN, plant, plant_garden, tended

PLANTS = "/garden/beds/b/plants"


async def log_of(*commands: Command) -> list[Event]:
    store = memory_store(GARDEN)
    await seed(store)
    await plant_garden(store)
    for command in commands:
        await tended(store, command)
    return await store.events(0, 1_000)


def said_of(events: Sequence[Event]) -> list[str]:
    """What the audit says by the end of another transaction."""
    audit, said = Audit(GARDEN), list[str]()
    last = events[-1]
    after = structs.replace(last, id="z", op="created", path="/garden/beds/z", uid="z", kind="Bed", part={"spec": {}})
    for position, event in enumerate((*events, structs.replace(after, at=last.at + timedelta(seconds=1))), 1):
        said += audit.step(structs.replace(event, position=position))
    return [sentence.partition(": ")[2] for sentence in said]


async def test_a_link_that_was_not_taken_away_is_told_after_the_transaction() -> None:
    events = await log_of(plant("a"), plant(near=f"{PLANTS}/a"), Command("delete", f"{PLANTS}/a"))
    assert said_of(events) == []
    forgotten = [event for event in events if event.op != "linksChanged"]
    assert said_of(forgotten) == [f"{PLANTS}/a is gone, and {PLANTS}/p is linked to it as its 'near'"]


async def test_what_goes_in_one_transaction_may_be_linked_to_each_other() -> None:
    events = await log_of(plant(), plant("a", near=f"{PLANTS}/p"), Command("delete", "/garden/beds/b"))
    assert next(event.path for event in events if event.op == "deleted") == f"{PLANTS}/p"
    assert said_of(events) == []
