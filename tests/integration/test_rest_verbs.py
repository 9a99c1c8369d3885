"""What people ask of jobs that they have, over REST; on the fake and the real store."""

import msgspec
import pytest

from datamodel.command import Command
from tests.gateway import STEP, Gateway
from tests.graph import JOBS, SYSTEM, done, job, new_edge, new_job, place, present, report

URL = "/v1/jobs/default/j"
VERBS = ("abort", "suspend", "resume", "retry")


async def ask(gateway: Gateway, verb: str, url: str = URL) -> tuple[int, str]:
    """The answer's status, and the job's intent or what refuses it."""
    answer = await gateway.client.post(f"{url}/{verb}")
    document = answer.json()
    return answer.status_code, document["spec"]["intent"] if answer.is_success else document["detail"]


async def end(gateway: Gateway, phase: str) -> None:
    await done(gateway.store, Command("patchStatus", f"{JOBS}/j", {"phase": phase}), actor=SYSTEM)


async def test_a_job_is_suspended_resumed_and_aborted_for_good(gateway: Gateway) -> None:
    await new_job(gateway.store, "j")
    assert await ask(gateway, "suspend") == (202, "suspend")
    assert await ask(gateway, "resume") == (202, "run")
    assert await ask(gateway, "abort") == (202, "abort")
    version = (await present(gateway.store, f"{JOBS}/j")).version
    assert await ask(gateway, "abort") == (202, "abort"), "who asks twice is answered alike"
    assert (await present(gateway.store, f"{JOBS}/j")).version == version
    for verb in ("resume", "suspend"):
        status, detail = await ask(gateway, verb)
        assert (status, "aborted, for good" in detail) == (409, True)
    patched = await gateway.client.patch(
        f"/v1{JOBS}/j", json={"spec": {"intent": "run"}}, headers={"Content-Type": "application/merge-patch+json"}
    )
    assert (patched.status_code, patched.json()["errors"][0]["pointer"]) == (422, "/spec/intent")


@pytest.mark.parametrize("phase", ["succeeded", "failed", "aborted"])
async def test_what_has_ended_is_neither_suspended_nor_aborted(gateway: Gateway, phase: str) -> None:
    await new_job(gateway.store, "j")
    await end(gateway, phase)
    for verb in ("abort", "suspend", "resume"):
        status, detail = await ask(gateway, verb)
        assert (status, f"it is {phase}" in detail) == (409, True)


async def test_what_has_failed_may_fail_once_more(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    failing = await new_job(gateway.store, "j", chunks=2, retries=1)
    assert await ask(gateway, "retry") == (409, f"{JOBS}/j is pending: only what has failed is tried again")
    for epoch in (1, 2):
        await report(gateway.store, await place(gateway.store, failing, 0, epoch), phase="failed")
    await end(gateway, "failed")
    answer = await gateway.client.post(f"{URL}/retry")
    assert (answer.status_code, answer.json()["spec"]["retries"]) == (202, 2)
    third = await place(gateway.store, await present(gateway.store, f"{JOBS}/j"), 0, 3)
    await report(gateway.store, third, phase="succeeded")
    (entry,) = await gateway.store.entries(failing.uid)
    assert (entry.phase, entry.failures, entry.epoch) == ("succeeded", 2, 3)


async def test_it_is_done_once_for_a_key(gateway: Gateway) -> None:
    failing = await new_job(gateway.store, "j", retries=0)
    await new_edge(gateway.store)
    await report(gateway.store, await place(gateway.store, failing), phase="failed")
    await end(gateway, "failed")
    every = "/v1/jobs:retry?all=true"
    for url, retries in ((f"{URL}/retry", 1), (f"{URL}/retry", 1), (every, 2), (every, 2)):
        answer = await gateway.client.post(url, headers={"Idempotency-Key": url})
        assert answer.status_code == 202
        assert (await present(gateway.store, f"{JOBS}/j")).spec["retries"] == retries
    other = await gateway.client.post(f"{URL}/abort", headers={"Idempotency-Key": f"{URL}/retry"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "Idempotency-Key")


async def test_a_key_remembers_that_nothing_was_to_be_done_too(gateway: Gateway) -> None:
    await new_job(gateway.store, "j")
    key = {"Idempotency-Key": "k"}
    assert (await gateway.client.post(f"{URL}/resume", headers=key)).status_code == 202
    await ask(gateway, "suspend")
    assert (await gateway.client.post(f"{URL}/resume", headers=key)).json()["spec"]["intent"] == "suspend"


async def test_it_is_done_only_to_the_version_that_is_meant(gateway: Gateway) -> None:
    created = await new_job(gateway.store, "j")
    suspended = await gateway.client.post(f"{URL}/suspend", headers={"If-Match": f'"{created.version}"'})
    assert suspended.status_code == 202
    for verb, etag in (("resume", f'"{created.version}"'), ("suspend", '"7777"'), ("abort", '"7777", "7778"')):
        refused = await gateway.client.post(f"{URL}/{verb}", headers={"If-Match": etag})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (412, "If-Match")
    for _ in range(2):
        headers = {"If-Match": f'{suspended.headers["etag"]}, "7777"', "Idempotency-Key": "k"}
        answer = await gateway.client.post(f"{URL}/resume", headers=headers)
        assert (answer.status_code, answer.json()["spec"]["intent"]) == (202, "run")


async def test_a_document_that_is_applied_leaves_what_was_asked_for_by_a_verb(gateway: Gateway) -> None:
    url, document = f"/v1{JOBS}/j", {"spec": {"steps": [STEP], "chunks": 3}}
    failing = await new_job(gateway.store, "f", retries=0)
    assert (await gateway.client.put(url, json=document)).status_code == 201
    for verb, intent in (("suspend", "suspend"), ("resume", "run"), ("abort", "abort")):
        await ask(gateway, verb)
        answer = await gateway.client.put(url, json=document)
        assert (answer.status_code, answer.json()["spec"]["intent"]) == (200, intent)
    await done(gateway.store, Command("patchStatus", failing.path, {"phase": "failed"}), actor=SYSTEM)
    assert (await gateway.client.post("/v1/jobs/default/f/retry")).json()["spec"]["retries"] == 1
    applied = await gateway.client.put(f"/v1{JOBS}/f", json={"spec": {"steps": failing.spec["steps"]}})
    assert (applied.status_code, applied.json()["spec"]["retries"]) == (200, 1)


async def test_what_refuses_a_verb_points_to_nothing_that_was_sent(gateway: Gateway) -> None:
    await new_job(gateway.store, "j")
    refused = await gateway.client.post(f"{URL}/retry")
    assert [error["pointer"] for error in refused.json()["errors"]] == [""]
    for method, url in (("GET", "/v1/jobs"), ("POST", "/v1/jobs:abort")):
        absent = await gateway.client.request(method, f"{url}?group=none")
        assert (absent.status_code, absent.json()["errors"][0]["pointer"]) == (404, "?group")


async def test_it_is_done_to_all_that_are_selected(gateway: Gateway) -> None:
    for name, team in (("a", "red"), ("b", "red"), ("c", "blue"), ("j", "red")):
        await done(gateway.store, msgspec.structs.replace(job(name), labels={"team": team}))
    await end(gateway, "succeeded")
    asked = {"labelSelector": "team=red", "limit": "2"}
    first = (await gateway.client.post("/v1/jobs:abort", params=asked)).json()
    rest = (await gateway.client.post("/v1/jobs:abort", params={**asked, "cursor": first["cursor"]})).json()
    found = {one["path"].rpartition("/")[2]: one for one in first["items"] + rest["items"]}
    assert {name: one["outcome"] for name, one in found.items()} == {"a": "changed", "b": "changed", "j": "refused"}
    assert "it is succeeded" in found["j"]["detail"]
    assert (await present(gateway.store, f"{JOBS}/c")).spec["intent"] == "run"
    again = (await gateway.client.post("/v1/jobs:abort", params={"all": "true"})).json()
    assert [one["outcome"] for one in again["items"]] == ["unchanged", "unchanged", "changed", "refused"]


async def test_everything_is_meant_only_where_that_is_said(gateway: Gateway) -> None:
    await new_job(gateway.store, "j")
    for params in ({}, {"all": "false"}, {"labelSelector": ""}, {"limit": "5"}):
        answer = await gateway.client.post("/v1/jobs:abort", params=params)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?all")
    assert (await present(gateway.store, f"{JOBS}/j")).spec["intent"] == "run"


@pytest.mark.parametrize("verb", VERBS)
async def test_nothing_is_done_to_a_job_that_does_not_exist(gateway: Gateway, verb: str) -> None:
    assert (await ask(gateway, verb))[0] == 404
    assert (await gateway.client.get(f"{URL}/{verb}")).status_code in {404, 405}
