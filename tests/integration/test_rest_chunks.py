"""The chunks of a job over REST; over the fake and the real."""

import pytest

from datamodel.command import Command
from datamodel.names import last_name
from tests.gateway import Gateway, ask
from tests.graph import JOBS, STEPS, SYSTEM, done, new_edge, new_job, place, report

URL = "/v1/jobs/default/j/chunks"


async def test_chunks_are_where_the_ledger_has_them(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    job = await new_job(gateway.store, "j", chunks=5)
    paths = [await place(gateway.store, job, index) for index in range(3)]
    await report(gateway.store, paths[0], phase="succeeded", outputs={"x": 1})
    await report(gateway.store, paths[1], phase="running", percent=12.5)
    await report(gateway.store, paths[2], phase="failed")
    first = (await gateway.client.get(URL, params={"limit": 2})).json()
    rest = (await gateway.client.get(URL, params={"limit": 2, "cursor": first["cursor"]})).json()
    assert (first["pending"], rest["cursor"]) == (2, None)
    chunks = first["items"] + rest["items"]
    assert [(one["index"], one["phase"], one["failures"]) for one in chunks] == [
        (0, "succeeded", 0),
        (1, "running", 0),
        (2, "retrying", 1),
    ]
    assert [(one["percent"], one["outputs"]) for one in chunks] == [(100, {"x": 1}), (12.5, None), (0, None)]
    assert [(one["site"], one["edge"], one["attempt"]) for one in chunks] == [("s", "e", last_name(p)) for p in paths]
    retrying = (await gateway.client.get(URL, params={"phase": "retrying"})).json()
    assert [one["index"] for one in retrying["items"]] == [2]


async def test_what_waited_for_a_new_attempt_is_aborted_with_its_job(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await report(
        gateway.store, await place(gateway.store, await new_job(gateway.store, "j", chunks=2)), phase="interrupted"
    )
    assert (await gateway.client.get(URL)).json()["items"][0]["phase"] == "retrying"
    await gateway.client.post("/v1/jobs/default/j/abort")
    for asked, found in (({}, ["aborted"]), ({"phase": "aborted"}, ["aborted"]), ({"phase": "retrying"}, [])):
        items = (await gateway.client.get(URL, params=asked)).json()["items"]
        assert [one["phase"] for one in items] == found
    explained = (await gateway.client.get("/v1/jobs/default/j/explain")).json()
    assert explained["chunks"] == {"aborted": 1, "pending": 1}


async def test_chunks_of_an_array_have_their_own_indices(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    array = await new_job(gateway.store, "j", array="7,10-30:10")
    await place(gateway.store, array, arrayIndex=7)
    await place(gateway.store, array, 1, arrayIndex=10)
    found = (await gateway.client.get(URL)).json()
    assert [(one["index"], one["arrayIndex"]) for one in found["items"]] == [(0, 7), (1, 10)]
    assert found["pending"] == 2
    plain = await new_job(gateway.store, "plain")
    await place(gateway.store, plain)
    assert (await gateway.client.get("/v1/jobs/default/plain/chunks")).json()["items"][0]["arrayIndex"] is None


async def test_a_job_that_is_to_be_split_has_one_chunk_that_waits(gateway: Gateway) -> None:
    document = {"name": "j", "maxChunks": 4, "workWs": 8, "steps": STEPS}
    answer = await gateway.client.post("/v1/jobs", json=document)
    assert answer.status_code == 202, answer.text
    assert "chunks" not in answer.json()["spec"]
    assert (await gateway.client.get(URL)).json() == {"items": [], "cursor": None, "pending": 1}
    asked = await gateway.client.get("/v1/jobs/default/j/logs", params={"chunk": 4})
    assert asked.json()["detail"] == "the job has 4 chunks, 0 to 3"
    split = Command("patchStatus", f"{JOBS}/j", {"split": {"chunks": 3}})
    await done(gateway.store, split, actor=SYSTEM)
    job = (await gateway.client.get("/v1/jobs/default/j")).json()
    assert job["status"]["split"] == {"chunks": 3}
    assert (await gateway.client.get(URL)).json()["pending"] == 3
    told = await ask(
        gateway,
        "query($path: String!) { node(path: $path) { ... on Job {spec {chunks maxChunks} status {split {chunks}} } } }",
        path=f"{JOBS}/j",
    )
    assert told["node"] == {"spec": {"chunks": None, "maxChunks": 4}, "status": {"split": {"chunks": 3}}}


@pytest.mark.parametrize(
    ("name", "value"), [("phase", "retry"), ("limit", "0"), ("cursor", "-1"), ("cursor", "9" * 99), ("colour", "red")]
)
async def test_a_parameter_that_makes_no_sense_is_named(gateway: Gateway, name: str, value: str) -> None:
    await new_job(gateway.store, "j")
    answer = await gateway.client.get(URL, params={name: value})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"?{name}")


async def test_a_job_that_does_not_exist_has_no_chunks(gateway: Gateway) -> None:
    assert (await gateway.client.get(URL)).status_code == 404
