"""Which front ends are there: those that are switched on, of a model that they are of."""

import httpx
import msgspec
import pytest

from datamodel.model import Model
from datamodel.seeds import seed
from gateway.fronts import hades, jobscheduler, nexus
from gateway.fronts.routes import ROUTES
from gateway.settings import FRONTS, Front
from tests.garden import MODEL as GARDEN
from tests.gateway import open_gateway
from tests.graph import memory_store

ADDRESSES: dict[Front, str] = {"hades": "/build", "jobscheduler": "/jobs/{id}", "nexus": "/v1alpha1/schedular"}
SCHEMAS: dict[Front, str] = {"hades": "HadesBuild", "jobscheduler": "RedisJob", "nexus": "NexusNode"}


async def offered(fronts: frozenset[Front], model: Model | None = None) -> tuple[set[str], set[str], httpx.Response]:
    """Paths and schemas of the OpenAPI document, and the answer to a build."""
    store = memory_store(model) if model is not None else memory_store()
    await seed(store)
    async with open_gateway(store, fronts=fronts) as gateway:
        document = (await gateway.client.get("/openapi.json")).json()
        answer = await gateway.client.post("/build", json={})
        return set(document["paths"]), set(document["components"]["schemas"]), answer


def test_each_has_routes() -> None:
    assert set(ROUTES) == FRONTS == set(ADDRESSES)


@pytest.mark.parametrize("front", sorted(FRONTS))
async def test_one_is_there_without_the_others(front: Front) -> None:
    paths, schemas, answer = await offered(frozenset({front}))
    assert {one for one, address in ADDRESSES.items() if address in paths} == {front}
    assert {one for one, schema in SCHEMAS.items() if schema in schemas} == {front}
    assert answer.status_code == (422 if front == "hades" else 404)


@pytest.mark.parametrize("model", [None, GARDEN])
async def test_none_is_there_where_none_is_wanted_or_the_model_is_another(model: Model | None) -> None:
    paths, schemas, answer = await offered(FRONTS if model is not None else frozenset(), model)
    assert not paths & set(ADDRESSES.values())
    assert not schemas & set(SCHEMAS.values())
    assert answer.status_code == 404


async def test_each_document_that_is_taken_has_an_example() -> None:
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        document = (await gateway.client.get("/openapi.json")).json()
        schemas = document["components"]["schemas"]
        sent = {"HadesBuild": ("POST", "/build"), "RedisSubmission": ("POST", "/jobs")}
        sent["NexusJobSpec"] = ("PUT", "/v1alpha1/job-groups/default/job-requests/job-17")
        for name, (method, address) in sent.items():
            (example,) = schemas[name]["examples"]
            assert (await gateway.client.request(method, address, json=example)).is_success


ANSWERED = (
    hades.HadesBuildAccepted,
    jobscheduler.RedisJob,
    jobscheduler.RedisJobList,
    jobscheduler.RedisExecutorList,
    jobscheduler.RedisStats,
    nexus.NexusNode,
    nexus.NexusMessage,
)


async def test_each_document_that_is_answered_has_an_example_that_is_one() -> None:
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        document = (await gateway.client.get("/openapi.json")).json()
    schemas, shapes = document["components"]["schemas"], {shape.__name__: shape for shape in ANSWERED}
    tags = {"Hades", "Redis scheduler", "Nexus"}
    answered = {
        content["schema"]["$ref"].rpartition("/")[2]
        for path in document["paths"].values()
        for operation in path.values()
        if tags & set(operation["tags"])
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for content in answer["content"].values()
    }
    assert answered == {*shapes, "NexusList"}
    for name in answered:
        (example,) = schemas[name]["examples"]
        shape = shapes.get(name, list[nexus.NexusNamed])
        told = msgspec.to_builtins(msgspec.convert(example, shape))
        assert told == example, "it has all fields, and no others"
