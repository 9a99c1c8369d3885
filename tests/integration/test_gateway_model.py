"""The gateway over another model than the scheduling one: what follows from its kinds is there, and nothing else."""

from collections.abc import AsyncIterator

import pytest_asyncio

from datamodel.seeds import seed
from tests import garden
from tests.gateway import Gateway, open_gateway
from tests.graph import memory_store


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    store = memory_store(garden.MODEL)
    await seed(store)
    async with open_gateway(store) as gateway:
        yield gateway


async def test_its_kinds_are_served(gateway: Gateway) -> None:
    beds = "/v1/garden/beds"
    assert (await gateway.client.post(beds, json={"metadata": {"name": "b"}})).status_code == 201
    document = {"metadata": {"name": "rose"}, "spec": {"heightCm": 80}}
    assert (await gateway.client.post(f"{beds}/b/flowers", json=document)).status_code == 201
    read = (await gateway.client.get(f"{beds}/b/flowers/rose")).json()
    assert read["spec"] == {"colour": "red", "heightCm": 80}
    assert read["status"] == {"phase": "bud"}
    wrong = await gateway.client.post(f"{beds}/b/flowers", json={"metadata": {"name": "x"}, "spec": {"colour": "blue"}})
    assert wrong.json()["errors"][0]["pointer"] == "/spec/colour"
    patch = (
        'mutation {patchFlower(input: {path: "/garden/beds/b/flowers/rose", spec: {heightCm: 90}}) {flower {version}}}'
    )
    assert (await gateway.client.post("/graphql", json={"query": patch})).json()["data"]["patchFlower"]["flower"]
    query = "{root {garden {shed {spec {tools}} beds {edges {node {flowers {edges {node {name spec {heightCm}}}}}}}}}}"
    answer = (await gateway.client.post("/graphql", json={"query": query})).json()
    assert answer["data"]["root"]["garden"] == {
        "shed": {"spec": {"tools": 1}},
        "beds": {"edges": [{"node": {"flowers": {"edges": [{"node": {"name": "rose", "spec": {"heightCm": 90}}}]}}}]},
    }


async def test_nothing_of_another_model_is(gateway: Gateway) -> None:
    for path in ("/v1/jobs", "/v1/edges", "/v1/sites", "/v1/stats", "/v1/config"):
        assert (await gateway.client.get(path)).status_code == 404
    document = (await gateway.client.get("/openapi.json")).json()
    tags = {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}
    assert tags == {"health", "graphql", "deletions", "kinds", *garden.MODEL.kinds}
    assert not {"Job", "Step", "JobDocument", "Execution"} & document["components"]["schemas"].keys()
    names = "{__schema {mutationType {fields {name}} types {name}}}"
    schema = (await gateway.client.post("/graphql", json={"query": names})).json()["data"]["__schema"]
    written = {f"{verb}{kind}" for verb in ("create", "apply", "patch") for kind in ("Shed", "Bed", "Flower")}
    mutations = {field["name"] for field in schema["mutationType"]["fields"]}
    assert mutations == {"deleteNode", *written} - {"createShed"}
    assert not {"Job", "Execution"} & {found["name"] for found in schema["types"]}


async def test_it_is_ready_when_its_planes_are_there(gateway: Gateway) -> None:
    answer = await gateway.client.get("/readyz")
    assert answer.json()["detail"] == "NATS is not connected"


async def test_its_documentation_has_the_examples_and_columns(gateway: Gateway) -> None:
    schemas = (await gateway.client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["FlowerSpec"]["examples"] == [{"colour": "white", "heightCm": 60}]
    assert schemas["Flower"]["x-columns"] == [
        {"name": "phase", "path": "status.phase", "format": "text"},
        {"name": "height", "path": "spec.heightCm", "format": "number"},
    ]
    assert "examples" not in schemas["ShedSpec"]
    query = '{__type(name: "Flower") {description}}'
    answer = (await gateway.client.post("/graphql", json={"query": query})).json()
    assert answer["data"]["__type"]["description"] == ('One plant.\n\nFor example: `{"colour":"white","heightCm":60}`')
