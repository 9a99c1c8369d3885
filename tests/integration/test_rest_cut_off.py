"""What operators know of edges that are not heard from, and adopt of what these did, over REST and GraphQL."""

from datamodel.command import Command
from datamodel.scheduling.service import config_path
from tests.gateway import Gateway
from tests.graph import SYSTEM, attempt_path, done, new_edge, new_job, place, present, report

URL = "/v1/edges/s/e"
EDGE, CONFIG = "/inventory/sites/s/edges/e", config_path("s", "e")


async def silent(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await done(gateway.store, Command("patchStatus", EDGE, {"phase": "disconnected"}), actor=SYSTEM)


async def test_a_word_is_said_of_the_edge_as_it_is(gateway: Gateway) -> None:
    await silent(gateway)
    position = (await gateway.store.head()).position
    for _ in range(2):
        answer = await gateway.client.post(f"{URL}/off?reason=burnt", headers={"Idempotency-Key": "k"})
        assert answer.status_code == 202
        word = {"says": "off", "position": position, "reason": "burnt"}
        assert answer.json()["spec"] == {"intent": "use", "word": word}
    assert answer.headers["ETag"] == f'"{(await present(gateway.store, CONFIG)).version}"'
    assert (await gateway.client.post(f"{URL}/lost")).json()["spec"]["word"]["position"] > position
    (event,) = [e for e in await gateway.store.events(0, 100) if e.path == CONFIG and e.op == "created"]
    assert event.actor == "anonymous/verbs"


async def test_nothing_is_said_of_an_edge_that_is_heard_from_or_is_not_there(gateway: Gateway) -> None:
    await silent(gateway)
    refused = await gateway.client.post(f"{URL}/off?reason={'x' * 257}")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "?reason")
    await done(gateway.store, Command("patchStatus", EDGE, {"phase": "online"}), actor=SYSTEM)
    for says in ("lost", "off"):
        refused = await gateway.client.post(f"{URL}/{says}")
        assert (refused.status_code, "is heard from" in refused.json()["detail"]) == (409, True)
        assert (await gateway.client.post(f"/v1/edges/s/f/{says}")).status_code == 404


async def kept(gateway: Gateway, name: str = "j", retries: int = 0) -> tuple[str, str]:
    """The paths of an attempt that was drained and has succeeded, and of the one that runs in its place."""
    job = await new_job(gateway.store, name, chunks=1, retries=retries)
    older = await place(gateway.store, job)
    await done(gateway.store, Command("patchSpec", older, {"intent": "abandon"}), actor=SYSTEM)
    newer = await place(gateway.store, job, epoch=2)
    await report(gateway.store, older, phase="succeeded", outputs={"n": 1})
    return older, newer


def url(path: str) -> str:
    return f"{URL}/attempts/{path.rpartition('/')[2]}/adopt"


async def test_a_result_that_was_kept_is_adopted_once(gateway: Gateway) -> None:
    await silent(gateway)
    older, newer = await kept(gateway)
    assert (await gateway.client.post(url(newer))).status_code == 409
    for _ in range(2):
        answer = await gateway.client.post(url(older), headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["spec"]["adopted"]) == (202, True)
    job = await present(gateway.store, "/config/job-groups/default/jobs/j")
    (entry,) = await gateway.store.entries(job.uid)
    assert (entry.phase, entry.holder) == ("succeeded", older)
    (execution,) = (await gateway.client.get("/v1/jobs/default/j")).json()["status"]["executions"]
    assert execution["succeeded"] == 1
    assert (await gateway.client.post(url(attempt_path(job, epoch=9)))).status_code == 404


async def test_a_job_that_has_failed_goes_on_by_what_is_adopted_and_another_end_stays(gateway: Gateway) -> None:
    await silent(gateway)
    older, newer = await kept(gateway)
    await report(gateway.store, newer, phase="failed")
    path = "/config/job-groups/default/jobs/j"
    await done(gateway.store, Command("patchStatus", path, {"phase": "failed", "observedGeneration": 1}), actor=SYSTEM)
    assert (await gateway.client.post(url(older))).status_code == 202
    job = await present(gateway.store, path)
    assert (job.generation, job.spec["retries"]) == (2, 1)
    assert (await gateway.store.totals([job.uid]))[job.uid].phases == {"succeeded": 1}
    other, _ = await kept(gateway, "k")
    ended = {"phase": "aborted", "observedGeneration": 1}
    await done(gateway.store, Command("patchStatus", "/config/job-groups/default/jobs/k", ended), actor=SYSTEM)
    refused = await gateway.client.post(url(other))
    assert (refused.status_code, refused.json()["detail"].endswith("it is aborted")) == (409, True)


async def test_graphql_says_and_adopts_the_same(gateway: Gateway) -> None:
    await silent(gateway)
    older, newer = await kept(gateway)
    names = [path.rpartition("/")[2] for path in (older, newer)]
    query = """mutation ($older: String!, $newer: String!) {
      lost: giveUpEdge(site: "s", edge: "e", reason: "r") { edgeConfig { spec { word { says reason } } } }
      off: declareEdgeOff(site: "s", edge: "f") { edgeConfig { path } userErrors { pointer } }
      adopted: adoptAttempt(site: "s", edge: "e", attempt: $older) { attempt { spec { adopted } } }
      refused: adoptAttempt(site: "s", edge: "e", attempt: $newer) { attempt { path } userErrors { pointer message } }
    }"""
    body = {"query": query, "variables": {"older": names[0], "newer": names[1]}}
    data = (await gateway.client.post("/graphql", json=body)).json()["data"]
    assert data["lost"]["edgeConfig"]["spec"]["word"] == {"says": "lost", "reason": "r"}
    assert data["off"] == {"edgeConfig": None, "userErrors": [{"pointer": "/edge"}]}
    assert data["adopted"]["attempt"]["spec"]["adopted"] is True
    (wrong,) = data["refused"]["userErrors"]
    assert (wrong["pointer"], "only what has succeeded" in wrong["message"]) == ("/attempt", True)


async def test_an_edge_is_deleted_once_nothing_of_it_is_reserved(gateway: Gateway) -> None:
    await silent(gateway)
    path = await place(gateway.store, await new_job(gateway.store, chunks=1))
    refused = await gateway.client.delete(f"/v1{EDGE}")
    assert (refused.status_code, "not settled" in refused.json()["detail"]) == (409, True)
    await report(gateway.store, path, phase="abandoned")
    assert (await gateway.client.delete(f"/v1{EDGE}")).status_code in (200, 202, 204)
    assert (await gateway.client.get(f"/v1{EDGE}")).status_code == 404
