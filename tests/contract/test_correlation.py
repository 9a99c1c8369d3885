"""Which request an event belongs to, and why it happened: as told, else as the node's creation."""

from typing import get_args

from datamodel.command import Command
from datamodel.event import Event, Op
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from tests.graph import JOBS, SYSTEM, attempt, done, job, new_edge, present, report
from tests.plants import PLANT, graft, link, plant, plant_garden, tended, unlink


async def written(store: Store, after: int) -> list[Event]:
    return await store.events(after, 100)


async def test_a_command_may_have_another_cause_than_its_unit(store: Store) -> None:
    before = (await store.head()).position
    own = Command("create", f"{JOBS}/b", {"steps": job().body["steps"]}, cause="event:1", correlation="theirs")
    await done(store, job("a"), own, cause="request:r", correlation="ours")
    assert [(event.cause, event.correlation) for event in await written(store, before)] == [
        ("request:r", "ours"),
        ("event:1", "theirs"),
    ]
    assert [(await present(store, f"{JOBS}/{name}")).correlation for name in "ab"] == ["ours", "theirs"]


async def test_who_knows_no_request_writes_for_the_one_that_created_the_node(store: Store) -> None:
    await new_edge(store)
    await done(store, job(), cause="request:r", correlation="ours")
    node = await present(store, f"{JOBS}/j")
    before = (await store.head()).position
    placed = attempt(node)
    await done(store, Command("create", placed.path, placed.body, links=placed.links, correlation="ours"), actor=SYSTEM)
    await report(store, placed.path, phase="running")
    await done(store, Command("patchSpec", placed.path, {"intent": "stop"}), actor=SYSTEM, correlation="another")
    await report(store, placed.path, phase="stopped")
    await done(store, Command("delete", f"{JOBS}/j"), cause="request:d", correlation="deletion")
    await done(store, Command("finalize", f"{JOBS}/j", {"finalizer": "attempts"}), actor=SYSTEM, cause="event:9")
    assert [(event.op, event.correlation) for event in await written(store, before)] == [
        ("created", "ours"),
        ("statusChanged", "ours"),
        ("specChanged", "another"),
        ("statusChanged", "ours"),
        ("deletionRequested", "deletion"),
        ("finalized", "ours"),
        ("deleted", "ours"),
    ]
    assert (await present(store, placed.path)).correlation == "ours"


async def test_what_follows_a_command_belongs_to_it(store: Store) -> None:
    await done(store, Command("create", "/config/job-groups/g"), correlation="first")
    await done(store, Command("create", "/config/job-groups/g/jobs/j", job().body), correlation="second")
    before = (await store.head()).position
    await done(store, Command("delete", "/config/job-groups/g"), cause="request:x", correlation="third")
    found = await written(store, before)
    assert len(found) == 2
    assert {(event.cause, event.correlation) for event in found} == {("request:x", "third")}


async def test_changes_tell_what_they_belong_to(store: Store, another: Store) -> None:
    """To who wrote them, and to others."""
    before = (await store.head()).position
    await done(store, job("a"), cause="request:r", correlation="ours")
    await done(store, job("b"))
    for reader in (store, another):
        changes = await reader.changes(before, 10)
        assert [(change.path[-1], change.correlation) for change in changes] == [("a", "ours"), ("b", "")]


async def test_the_past_tells_it_too(postgres: PostgresStore) -> None:
    await done(postgres, job(), correlation="ours")
    position = (await postgres.head()).position
    await done(postgres, Command("patchSpec", f"{JOBS}/j", {"retries": 1}), correlation="later")
    (former,) = (await postgres.nodes_at([f"{JOBS}/j"], position)).values()
    assert former.correlation == "ours"
    assert [event.correlation for event in (await postgres.history(f"{JOBS}/j")).events] == ["ours", "later"]


async def test_every_event_says_who_why_for_whom_and_when(garden: Store) -> None:
    """Whatever the command, and of nodes that it does not name too."""
    await plant_garden(garden)
    before = await garden.head()
    await tended(garden, plant(), plant("q"), cause="request:r-7", correlation="spring")
    for command in (
        Command("apply", PLANT, {"height": 2}, {"sort": "late"}),
        Command("patchSpec", PLANT, {"height": 3}),
        Command("jsonPatch", PLANT, {"patch": [{"op": "replace", "path": "/height", "value": 4}]}),
        link(PLANT, "near", "/garden/beds/b/plants/q"),
        unlink(PLANT, "near", "/garden/beds/b/plants/q"),
        graft("g", PLANT),
        Command("delete", PLANT),
        Command("finalize", "/garden/beds/b/grafts/g", {"finalizer": "gardener"}),
    ):
        await tended(garden, command, cause="request:r-7", correlation="spring")
    events = await garden.events(before.position, 100)
    assert {event.op for event in events} == {*get_args(Op)} - {"statusChanged"}
    assert {(event.actor, event.cause, event.correlation) for event in events} == {("mary", "request:r-7", "spring")}
    assert before.at <= events[0].at <= events[-1].at == (await garden.head()).at
