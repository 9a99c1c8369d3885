"""The projection: what commands do to nodes, how nodes go, and how they are found."""

import pytest

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid, NotFound
from datamodel.ports import Store
from datamodel.removal import SUBTREE_LIMIT
from datamodel.scheduling.edges import desired_path
from tests.graph import (
    JOBS,
    STEPS,
    SYSTEM,
    attempt,
    done,
    edge_spec,
    job,
    new_edge,
    new_job,
    place,
    present,
    refusal,
    report,
    send,
)
from tests.plants import PLANT, plant, plant_garden, tended

GROUP = "/config/job-groups/g"


async def test_a_merge_patch_keeps_what_it_does_not_name(garden: Store) -> None:
    await plant_garden(garden)
    await tended(garden, plant(body={"height": 2, "colours": {"leaf": "green", "bud": "red"}}))
    node = await present(garden, PLANT)
    await tended(garden, Command("patchSpec", PLANT, {"height": 3, "colours": {"bud": None, "root": "brown"}}))
    after = await present(garden, PLANT)
    assert after.spec == {**node.spec, "height": 3, "colours": {"leaf": "green", "root": "brown"}}
    assert (after.generation, after.version > node.version) == (2, True)


async def test_a_patch_is_held_to_the_kinds_shape(store: Store) -> None:
    node = await new_job(store)
    for patch, field in (({"retries": -1}, "/spec/retries"), ({"steps": None}, "/spec/steps"), ({"no": 1}, "/spec/no")):
        (verdict,) = await send(store, Command("patchSpec", node.path, patch))
        assert isinstance(verdict.error, Invalid)
        assert verdict.error.field == field
    for status, field in (
        ({"phase": ["running"]}, "/status/phase"),
        ({"percentCompleted": "1"}, "/status/percentCompleted"),
    ):
        (verdict,) = await send(store, Command("patchStatus", node.path, status), actor=SYSTEM)
        assert isinstance(verdict.error, Invalid)
        assert verdict.error.field == field
    assert await present(store, node.path) == node


async def test_a_status_change_is_no_new_generation(store: Store) -> None:
    node = await new_job(store)
    await done(store, Command("patchStatus", node.path, {"phase": "running", "percentCompleted": 12.5}), actor=SYSTEM)
    after = await present(store, node.path)
    assert (after.status, after.generation) == ({"phase": "running", "percentCompleted": 12.5}, 1)
    assert after.phase == "running"


async def test_labels_are_replaced_with_apply_and_change_no_generation(store: Store) -> None:
    await done(store, Command("apply", GROUP, {"description": "one"}, labels={"team": "a", "tier": "1"}))
    assert (await present(store, GROUP)).labels == {"team": "a", "tier": "1"}
    await done(store, Command("apply", GROUP, {"description": "one"}, labels={"team": "b"}))
    await done(store, Command("apply", GROUP, {"description": "one"}))
    node = await present(store, GROUP)
    assert (node.labels, node.generation) == ({"team": "b"}, 1)
    await done(store, Command("apply", GROUP, {"description": "two"}))
    assert (await present(store, GROUP)).generation == 2


async def test_phases_go_along_the_table_and_end(store: Store) -> None:
    node = await new_job(store)
    for status, refused in (
        ({"phase": "running"}, None),
        ({"phase": "pending"}, Conflict),
        ({"percentCompleted": 50.0}, None),
        ({"phase": "succeeded"}, None),
        ({"phase": "succeeded"}, None),
        ({"phase": "failed"}, Conflict),
        ({"percentCompleted": 51.0}, Conflict),
    ):
        outcome = await send(store, Command("patchStatus", node.path, status), actor=SYSTEM)
        assert refusal(outcome) is refused, status
    assert (await present(store, node.path)).status == {"phase": "succeeded", "percentCompleted": 50.0}


async def test_links_lead_to_living_nodes_of_their_kind(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store)
    path = await place(store, node)
    assert (await present(store, path)).links == {"job": (node.uid,)}
    for target, error in ((f"{JOBS}/none", NotFound), ("/config/job-groups/default", NotFound)):
        wanted = attempt(node, index=1)
        command = Command("create", wanted.path, wanted.body, links={"job": (target,)})
        assert refusal(await send(store, command, actor=SYSTEM)) is error
    await done(store, Command("delete", node.path))
    assert refusal(await send(store, attempt(node, index=1), actor=SYSTEM)) is Conflict


async def test_linked_nodes_are_found_page_by_page(store: Store) -> None:
    await new_edge(store, cpu=100.0, powerW=1000.0)
    mine, other = await new_job(store, "mine", chunks=5), await new_job(store, "other")
    paths = sorted([await place(store, mine, index) for index in range(5)])
    await place(store, other)
    first = await store.linked("Attempt", "job", mine.uid, limit=3)
    second = await store.linked("Attempt", "job", mine.uid, after=first[-1].path, limit=3)
    assert [node.path for node in (*first, *second)] == paths
    assert await store.linked("Job", "job", mine.uid) == []
    assert await store.linked("Attempt", "other", mine.uid) == []


async def test_links_go_with_their_source(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store)
    path = await place(store, node)
    await report(store, path, phase="succeeded")
    await done(store, Command("delete", path), actor=SYSTEM)
    assert await store.linked("Attempt", "job", node.uid) == []


async def test_nodes_are_listed_by_kind_subtree_and_phase(store: Store) -> None:
    await done(store, Command("create", GROUP), Command("create", f"{GROUP}0"))
    for name in ("b", "a", "c"):
        await done(store, Command("create", f"{GROUP}/jobs/{name}", {"steps": STEPS}))
    await done(store, Command("create", f"{GROUP}0/jobs/x", {"steps": STEPS}))
    await done(store, Command("patchStatus", f"{GROUP}/jobs/b", {"phase": "running"}), actor=SYSTEM)
    paths = [f"{GROUP}/jobs/{name}" for name in "abc"]

    async def listed(**choice: object) -> list[str]:
        return [node.path for node in await store.list_nodes("Job", **choice)]  # type: ignore[arg-type]

    assert await listed() == sorted([*paths, f"{GROUP}0/jobs/x"])
    assert await listed(under=GROUP) == paths
    assert await listed(under=f"{GROUP}/jobs/a") == []
    assert await listed(under=GROUP, limit=2) == paths[:2]
    assert await listed(under=GROUP, after=paths[1]) == paths[2:]
    assert await listed(under=GROUP, phases=["running"]) == [paths[1]]
    assert await listed(under=GROUP, phases=["", "succeeded"]) == [paths[0], paths[2]]
    assert await store.count_by_phase("Job") == {"": 3, "running": 1}
    assert await store.count_by_phase("Attempt") == {}


async def test_a_node_without_finalizers_goes_at_once_with_everything_below(store: Store) -> None:
    await new_edge(store, "a")
    await new_edge(store, "b")
    (verdict,) = await done(store, Command("delete", "/desired-config/sites/s"), actor=SYSTEM)
    assert verdict.version == (await store.head()).position
    assert await store.list_nodes("DesiredEdge") == []
    assert await store.list_nodes("DesiredSite") == []
    assert len(await store.list_nodes("Edge")) == 2


async def test_a_finalizer_holds_a_deletion_and_its_parents_with_it(store: Store) -> None:
    await done(store, Command("create", GROUP), Command("create", f"{GROUP}/jobs/a", {"steps": STEPS}))
    await done(store, Command("create", f"{GROUP}/jobs/b", {"steps": STEPS}))
    await done(store, Command("delete", GROUP))
    for path in (GROUP, f"{GROUP}/jobs/a", f"{GROUP}/jobs/b"):
        assert (await present(store, path)).deletion_requested_at is not None
    late = Command("create", f"{GROUP}/jobs/late", {"steps": STEPS})
    assert refusal(await send(store, late)) is Conflict
    before = await store.head()
    await done(store, Command("delete", GROUP))
    assert await store.head() == before
    await done(store, Command("finalize", f"{GROUP}/jobs/a", {"finalizer": "attempts"}), actor=SYSTEM)
    assert sorted(await store.nodes([GROUP, f"{GROUP}/jobs/a"])) == [GROUP]
    await done(store, Command("finalize", f"{GROUP}/jobs/b", {"finalizer": "attempts"}), actor=SYSTEM)
    assert await store.nodes([GROUP, f"{GROUP}/jobs/b"]) == {}
    assert "/config" in await store.nodes(["/config"])


async def test_a_finalizer_that_is_not_there_changes_nothing(store: Store) -> None:
    node = await new_job(store)
    (verdict,) = await done(store, Command("finalize", node.path, {"finalizer": "other"}), actor=SYSTEM)
    assert verdict.outcome == "unchanged"
    assert await present(store, node.path) == node


async def test_what_holds_a_reservation_or_is_reserved_cannot_be_deleted(store: Store) -> None:
    await new_edge(store)
    node = await new_job(store)
    path = await place(store, node)
    edge, desired = "/inventory/sites/s/edges/e", "/desired-config/sites/s"
    for doomed in (path, desired):
        assert refusal(await send(store, Command("delete", doomed), actor=SYSTEM)) is Conflict
    assert refusal(await send(store, Command("delete", "/inventory/sites/s"), actor=SYSTEM)) is Conflict
    await report(store, path, phase="succeeded")
    await done(store, Command("delete", desired), actor=SYSTEM)
    await done(store, Command("delete", "/inventory/sites/s"), actor=SYSTEM)
    assert await store.nodes([path, edge, desired]) == {}
    assert await store.pools([edge]) == {}


async def test_a_subtree_that_goes_has_a_size(store: Store) -> None:
    edges = [Command("create", f"/desired-config/sites/s/edges/e{number}") for number in range(SUBTREE_LIMIT)]
    await done(store, Command("create", "/desired-config/sites/s"), *edges, actor=SYSTEM)
    delete = Command("delete", "/desired-config/sites/s")
    assert refusal(await send(store, delete, actor=SYSTEM)) is Conflict
    await done(store, Command("delete", edges[0].path), actor=SYSTEM)
    await done(store, delete, actor=SYSTEM)
    assert await store.list_nodes("DesiredEdge") == []


async def test_a_name_that_is_free_again_is_a_new_node(store: Store) -> None:
    await done(store, Command("create", GROUP, {"description": "first"}, labels={"team": "a"}))
    first = await present(store, GROUP)
    await done(store, Command("delete", GROUP), Command("create", GROUP))
    second = await present(store, GROUP)
    assert second.uid != first.uid
    assert (second.spec, second.labels, second.generation) == ({"description": ""}, {}, 1)


@pytest.mark.parametrize("path", ["/config/job-groups", "/config/none/x", "config", "/", "", f"{JOBS}/Not-A-Label"])
async def test_a_path_that_nothing_can_have_is_invalid(store: Store, path: str) -> None:
    with pytest.raises(Invalid):
        await send(store, Command("create", path))


async def test_a_stored_spec_has_its_defaults(store: Store) -> None:
    await new_edge(store)
    (verdict,) = await done(store, job())
    assert (await present(store, verdict.path)).spec["retries"] == 2
    edge = await present(store, "/inventory/sites/s/edges/e")
    assert edge.spec == edge_spec()


async def test_the_places_of_what_links_to_each_of_many(store: Store) -> None:
    for edge in ("e", "e-b", "e0"):
        await new_edge(store, edge)
    both, one = await new_job(store, "both", chunks=4), await new_job(store, "one")
    for index, edge in enumerate(("e", "e", "e-b", "e0")):
        await place(store, both, index, edge=edge)
    await place(store, one, edge="e-b")
    targets = [both.uid, one.uid, "none"]
    found = await store.places_linking("Attempt", "job", targets)
    assert {uid: sorted(places) for uid, places in found.items()} == {
        both.uid: [desired_path("s", edge) for edge in ("e", "e-b", "e0")],
        one.uid: [desired_path("s", "e-b")],
        "none": [],
    }
    limited = await store.places_linking("Attempt", "job", targets, limit=2)
    assert limited == {uid: places[:2] for uid, places in found.items()}
    for kind, link in (("Job", "job"), ("Attempt", "other")):
        assert await store.places_linking(kind, link, targets) == {uid: [] for uid in targets}
    assert await store.placements(targets) == {uid: (await store.placements([uid]))[uid] for uid in targets}
    assert (await store.placements(["none"]))["none"] == []


async def test_nodes_are_found_by_uid(store: Store) -> None:
    first, second = await new_job(store, "a"), await new_job(store, "b")
    assert await store.nodes_of([second.uid, "none", first.uid]) == {first.uid: first, second.uid: second}
    assert await store.nodes_of([]) == {}
