"""Deletions that wait for somebody are seen, with whom they wait for and since when."""

import pytest

from datamodel.command import Command
from datamodel.seeds import seed
from tests.garden import MODEL as GARDEN
from tests.gateway import open_gateway
from tests.graph import JOBS, SYSTEM, done, memory_store, new_job

URL = "/v1/deletions"


async def test_a_deletion_that_waits_names_who_it_waits_for() -> None:
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        assert (await gateway.client.get(URL)).json() == {"items": [], "cursor": None}
        job = await new_job(store, "j")
        await done(store, Command("delete", "/config/job-groups/default"))
        first = (await gateway.client.get(URL, params={"limit": 1})).json()
        rest = (await gateway.client.get(URL, params={"limit": 1, "cursor": first["cursor"]})).json()
        (group,), (waiting,) = first["items"], rest["items"]
        assert (group["path"], group["finalizers"], rest["cursor"]) == ("/config/job-groups/default", [], None)
        assert (waiting["path"], waiting["uid"], waiting["kind"]) == (job.path, job.uid, "Job")
        assert waiting["finalizers"] == ["attempts"]
        read = (await gateway.client.get(f"/v1{job.path}")).json()["metadata"]
        assert read["deletionRequestedAt"] == waiting["deletionRequestedAt"]
        assert isinstance(waiting["ageS"], int)
        await done(store, Command("finalize", f"{JOBS}/j", {"finalizer": "attempts"}), actor=SYSTEM)
        assert (await gateway.client.get(URL)).json()["items"] == []


@pytest.mark.parametrize(("name", "value"), [("limit", "0"), ("cursor", "!"), ("colour", "red")])
async def test_a_parameter_that_makes_no_sense_is_named(name: str, value: str) -> None:
    store = memory_store(GARDEN)
    await seed(store)
    async with open_gateway(store) as gateway:
        answer = await gateway.client.get(URL, params={name: value})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"?{name}")
