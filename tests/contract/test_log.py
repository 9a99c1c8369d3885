"""Appending and following: what is admitted, what is refused, and how it is read back."""

import msgspec
import pytest

from datamodel.command import Actor, Advance, Command, Fence, Unit
from datamodel.errors import Aborted, Conflict, Fenced, Forbidden, Invalid, NotFound
from datamodel.feed.message import decode, encode
from datamodel.node import Node
from datamodel.parts import STATUS_LIMIT_BYTES
from datamodel.ports import Change, Store
from datamodel.prepare import prepare
from datamodel.scheduling.model import MODEL
from tests.graph import JOBS, SYSTEM, USER, done, job, new_edge, new_job, present, refusal, send

GROUPS = "/config/job-groups"


async def written(store: Store) -> int:
    return (await store.head()).position


async def test_a_creation_is_one_event_and_one_node(store: Store) -> None:
    before = await written(store)
    (verdict,) = await done(store, job(), cause="request 1", correlation="trace 1")
    node = await present(store, verdict.path)
    (event,) = await store.events(before, 10)
    assert (verdict.outcome, verdict.uid, verdict.version) == ("changed", node.uid, before + 1)
    assert (node.kind, node.generation, node.version, node.created_version) == ("Job", 1, before + 1, before + 1)
    assert (event.op, event.path, event.uid, event.kind) == ("created", node.path, node.uid, "Job")
    assert event.part == {"spec": node.spec, "finalizers": ["attempts"]}
    assert (event.actor, event.cause, event.correlation) == ("ann", "request 1", "trace 1")
    assert node.created_at == event.at == (await store.head()).at
    assert await store.event_id(event.position) == event.id
    assert await store.event_id(event.position + 1) is None


async def test_positions_are_dense_and_times_never_run_backwards(store: Store) -> None:
    for name in ("a", "b", "c"):
        await done(store, job(name), job(f"{name}2"))
        await send(store, job(name))
    events = await store.events(0, 1000)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert len({event.id for event in events}) == len(events)
    assert await store.events(2, 3) == events[2:5]


async def test_a_taken_name_is_a_conflict_and_writes_nothing(store: Store) -> None:
    await done(store, job())
    before = await written(store)
    outcome = await send(store, job())
    assert refusal(outcome) is Conflict
    assert outcome[0].error is not None
    assert outcome[0].error.field == "/metadata/name"
    assert await written(store) == before


async def test_what_does_not_exist_cannot_be_changed_or_be_a_parent(store: Store) -> None:
    for command in (
        Command("patchSpec", f"{JOBS}/none", {"retries": 1}),
        Command("delete", f"{JOBS}/none"),
        Command("finalize", f"{JOBS}/none", {"finalizer": "attempts"}),
        msgspec.structs.replace(job(), path=f"{GROUPS}/none/jobs/j"),
    ):
        assert refusal(await send(store, command)) is NotFound


async def test_a_chosen_uid_is_kept_and_cannot_be_taken_twice(store: Store) -> None:
    chosen = msgspec.structs.replace(job("a"), uid="a" * 32)
    (verdict,) = await done(store, chosen)
    assert verdict.uid == "a" * 32
    again = msgspec.structs.replace(job("b"), uid="a" * 32)
    assert refusal(await send(store, again)) is Conflict
    twice = [msgspec.structs.replace(job(name), uid="b" * 32) for name in ("c", "d")]
    outcome = await send(store, *twice, atomic=False)
    assert [verdict.outcome for verdict in outcome] == ["changed", "refused"]


async def test_an_expected_version_refuses_what_has_changed_since(store: Store) -> None:
    node = await new_job(store)
    patch = Command("patchSpec", node.path, {"retries": 1}, expected_version=node.version)
    await done(store, patch)
    before = await written(store)
    assert refusal(await send(store, patch)) is Conflict
    assert refusal(await send(store, msgspec.structs.replace(job("new"), expected_version=7))) is Conflict
    assert await written(store) == before
    await done(store, msgspec.structs.replace(job("new"), expected_version=0))


async def test_a_patch_that_changes_nothing_writes_nothing(store: Store) -> None:
    node = await new_job(store)
    (spec,) = await done(store, Command("patchSpec", node.path, {"retries": node.spec["retries"]}))
    (status,) = await done(store, Command("patchStatus", node.path, {}), actor=SYSTEM)
    assert (spec.outcome, status.outcome) == ("unchanged", "unchanged")
    assert await present(store, node.path) == node


async def test_a_replayed_key_returns_the_first_outcome_once(store: Store) -> None:
    first = await done(store, job(), key="k", digest="d")
    before = await written(store)
    again = await done(store, job(), key="k", digest="d")
    assert [(v.path, v.uid, v.version) for v in again] == [(v.path, v.uid, v.version) for v in first]
    assert [(v.outcome, v.replayed) for v in again] == [("unchanged", True)]
    assert refusal(await send(store, job("other"), key="k", digest="e")) is Invalid
    assert await written(store) == before


async def test_a_key_is_replayed_within_one_transaction(store: Store) -> None:
    unit = prepare(MODEL, Unit((job(),), USER, key="k", digest="d"))
    (first,), (second,) = await store.append([unit, unit])
    assert (first.outcome, second.outcome, second.replayed) == ("changed", "unchanged", True)
    assert second.uid == first.uid


async def test_a_refused_unit_does_not_use_its_key_up(store: Store) -> None:
    node = await new_job(store)
    assert refusal(await send(store, job(), key="k", digest="d")) is Conflict
    await done(store, Command("delete", node.path))
    await done(store, Command("finalize", node.path, {"finalizer": "attempts"}), actor=SYSTEM)
    (verdict,) = await done(store, job(), key="k", digest="d")
    assert (verdict.outcome, verdict.replayed) == ("changed", False)


@pytest.mark.parametrize(
    ("actor", "command"),
    [
        (SYSTEM, Command("create", f"{GROUPS}/x")),
        (USER, Command("patchStatus", f"{GROUPS}/default", {})),
        (USER, Command("create", "/desired-config/sites/x")),
        (USER, Command("delete", "/inventory/sites/s")),
        (SYSTEM, Command("patchSpec", "/inventory/sites/s/edges/e", {"agent": "other"})),
        (Actor("other", "edge", frozenset({"/sites/other"})), Command("delete", "/inventory/sites/s/edges/e")),
        (Actor("prefix", "edge", frozenset({"/sites/s/edges/"})), Command("delete", "/inventory/sites/s/edges/e")),
        (Actor("nobody", "edge"), Command("delete", "/inventory/sites/s/edges/e")),
        (Actor("stranger", "stranger", frozenset({"/sites"})), job()),
    ],
)
async def test_planes_belong_to_their_writers(store: Store, actor: Actor, command: Command) -> None:
    await new_edge(store)
    before = await written(store)
    assert refusal(await send(store, command, actor=actor)) is Forbidden
    assert await written(store) == before


async def test_an_atomic_unit_is_all_or_nothing(store: Store) -> None:
    before = await written(store)
    outcome = await send(store, job("a"), Command("delete", f"{JOBS}/none"), job("b"))
    assert [refusal(outcome, number) for number in range(3)] == [Aborted, NotFound, Aborted]
    assert await written(store) == before
    assert await store.list_nodes("Job") == []


async def test_independent_commands_fail_alone(store: Store) -> None:
    outcome = await send(store, job("a"), Command("delete", f"{JOBS}/none"), job("b"), atomic=False)
    assert [verdict.outcome for verdict in outcome] == ["changed", "refused", "changed"]
    assert [node.path for node in await store.list_nodes("Job")] == [f"{JOBS}/a", f"{JOBS}/b"]


async def test_units_of_one_transaction_see_each_other_and_fail_alone(store: Store) -> None:
    group = Command("create", f"{GROUPS}/g")
    inside = msgspec.structs.replace(job(), path=f"{GROUPS}/g/jobs/j")
    units = [prepare(MODEL, Unit(commands, USER)) for commands in ((group,), (group,), (inside,))]
    outcomes = await store.append(units)
    assert [outcome[0].outcome for outcome in outcomes] == ["changed", "refused", "changed"]


async def test_a_mark_moves_with_its_unit_or_not_at_all(store: Store) -> None:
    assert await store.marks(["edge 1"]) == {}
    await done(store, job("a"), advance=Advance("edge 1", 0, 5))
    assert await store.marks(["edge 1", "edge 2"]) == {"edge 1": 5}
    for elsewhere in (Advance("edge 1", 0, 7), Advance("edge 1", 6, 7)):
        assert refusal(await send(store, job("b"), advance=elsewhere)) is Fenced
    assert refusal(await send(store, job("a"), advance=Advance("edge 1", 5, 8))) is Conflict
    assert await store.marks(["edge 1"]) == {"edge 1": 5}
    await send(store, job("a"), job("b"), atomic=False, advance=Advance("edge 1", 5, 9))
    assert await store.marks(["edge 1"]) == {"edge 1": 9}


async def test_a_mark_moves_without_commands_and_says_where_it_does_not(store: Store) -> None:
    assert await send(store, advance=Advance("edge 1", 0, 5)) == ()
    assert await store.marks(["edge 1"]) == {"edge 1": 5}
    assert refusal(await send(store, advance=Advance("edge 1", 0, 5))) is Fenced


async def test_a_fence_admits_the_holder_alone(store: Store) -> None:
    token = (await store.acquire(["placement"], "a", 60.0))["placement"]
    await done(store, job("a"), fence=Fence("placement", token))
    for fence in (Fence("placement", token + 1), Fence("placement", token - 1), Fence("other", token)):
        assert refusal(await send(store, job("b"), fence=fence)) is Fenced
    await store.release(["placement"], "a")
    assert refusal(await send(store, job("b"), fence=Fence("placement", token))) is Fenced


async def test_a_node_has_a_size(store: Store) -> None:
    step = {"image": "busybox", "script": "x" * 60_000}
    steps = [{**step, "name": f"s{number}"} for number in range(3)]
    with pytest.raises(Invalid, match="the steps are"):  # so that what comes later has room
        await send(store, job(steps=steps))
    node = await new_job(store, steps=steps[:2])
    assert refusal(await send(store, Command("patchSpec", node.path, {"steps": steps}))) is Invalid
    status = {"outputs": {"text": "x" * 150_000}}
    outcome = await send(store, Command("patchStatus", node.path, status), actor=SYSTEM)
    assert refusal(outcome) is Invalid
    assert str(STATUS_LIMIT_BYTES) in str(outcome[0].error)
    assert await present(store, node.path) == node


async def test_changes_carry_the_image_of_each_node(store: Store) -> None:
    before = await written(store)
    node = await new_job(store)
    await done(store, Command("patchStatus", node.path, {"phase": "running"}), actor=SYSTEM)
    latest = await present(store, node.path)
    first, second = await store.changes(before, 10)
    events = await store.events(before, 10)
    assert [(c.position, c.event_id, c.path) for c in (first, second)] == [(e.position, e.id, e.path) for e in events]
    assert first.node in (node, latest)
    assert second.node == latest
    assert_carries(encode(second), latest)
    assert await store.changes(before + 1, 10) == [second]
    assert await store.changes(before + 2, 10) == []


async def test_a_node_that_is_gone_is_a_tombstone_and_its_successor_is_not(store: Store) -> None:
    path = f"{GROUPS}/g"
    before = await written(store)
    await done(store, Command("create", path))
    await done(store, Command("delete", path))
    old, gone = await store.changes(before, 10)
    assert gone.node is None
    tombstone = decode(encode(gone))
    assert (tombstone.path, tombstone.version, tombstone.deleted) == (path, before + 2, True)
    await done(store, Command("create", path))
    node = await present(store, path)
    changes = await store.changes(before, 10)
    assert [change.uid for change in changes] == [old.uid, old.uid, node.uid]
    assert [change.node for change in changes[1:]] == [None, node]
    assert_carries(encode(changes[2]), node)


async def test_changes_of_one_transaction_have_the_nodes_as_it_left_them(store: Store) -> None:
    path = f"{GROUPS}/g"
    before = await written(store)
    await done(store, Command("create", path), Command("delete", path), Command("create", path))
    node = await present(store, path)
    changes = await store.changes(before, 10)
    assert [change.node for change in changes] == [None, None, node]


async def test_changes_are_the_same_whoever_wrote_them(store: Store, another: Store) -> None:
    """A store may know what it wrote itself; what others wrote in between is not passed over."""
    before = await written(store)
    for number, writer in enumerate((store, another, another, store)):
        await done(writer, Command("create", f"{GROUPS}/g{number}"))
    for reader in (store, another):
        found: list[Change] = []
        while more := await reader.changes(before + len(found), 2):
            found += more
        assert [change.position for change in found] == [before + 1 + number for number in range(4)]
        assert [change.path for change in found] == [f"{GROUPS}/g{number}" for number in range(4)]


async def test_living_nodes_come_in_order_of_path(store: Store) -> None:
    await new_edge(store)
    await new_job(store)
    pages = [await store.living("", 4)]
    while pages[-1]:
        pages.append(await store.living(pages[-1][-1].path, 4))
    living = [change for page in pages for change in page]
    assert len(living) == await store.count_nodes()
    assert [change.path for change in living] == sorted(change.path for change in living)
    for change in living:
        node = await present(store, change.path)
        assert change.position == node.version
        assert change.node == node


def assert_carries(body: bytes, node: Node) -> None:
    message = decode(body)
    assert (message.path, message.uid, message.kind) == (node.path, node.uid, node.kind)
    assert (message.version, message.created_version) == (node.version, node.created_version)
    assert message.generation == node.generation
    assert message.labels == node.labels
    assert msgspec.json.decode(message.spec) == node.spec
    assert msgspec.json.decode(message.status) == node.status
