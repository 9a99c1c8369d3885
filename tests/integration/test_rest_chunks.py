"""The chunks of a job over REST; over the fake and the real."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from datamodel.names import last_name
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.databases import Databases
from tests.gateway import Gateway, open_gateway
from tests.graph import memory_store, new_edge, new_job, place, report

URL = "/v1/jobs/default/j/chunks"


@pytest_asyncio.fixture(params=["fake", "real"])
async def gateway(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Gateway]:
    if request.param == "fake":
        store = memory_store()
        await seed(store)
        async with open_gateway(store) as gateway:
            yield gateway
        return
    url = await databases.create()
    async with PostgresStore(url, MODEL) as real, open_gateway(real) as gateway:
        yield gateway
    await databases.drop(url)


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


@pytest.mark.parametrize(
    ("name", "value"), [("phase", "retry"), ("limit", "0"), ("cursor", "-1"), ("cursor", "9" * 99), ("colour", "red")]
)
async def test_a_parameter_that_makes_no_sense_is_named(gateway: Gateway, name: str, value: str) -> None:
    await new_job(gateway.store, "j")
    answer = await gateway.client.get(URL, params={name: value})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"?{name}")


async def test_a_job_that_does_not_exist_has_no_chunks(gateway: Gateway) -> None:
    assert (await gateway.client.get(URL)).status_code == 404
