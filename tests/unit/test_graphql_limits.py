"""Hostile queries are refused with a 4xx, in bounded time."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.seeds import seed
from gateway.graphql.connection import FIRST_DEFAULT
from gateway.graphql.context import NODES_LIMIT
from gateway.graphql.limits import ALIASES_LIMIT, DEPTH_LIMIT, FIELDS_LIMIT
from tests.gateway import Gateway, open_gateway
from tests.graph import STEPS, done, memory_store
from tests.unit.test_graphql_sdl import PAGE

TIMEOUT_S = 5.0
NODE = 'node(path: "/config")'


@pytest_asyncio.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    store = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        yield gateway


async def send(gateway: Gateway, document: Any) -> httpx.Response:
    async with asyncio.timeout(TIMEOUT_S):
        return await gateway.client.post("/graphql", json=document)


def deep(levels: int) -> str:
    """A query that is valid however deep it is."""
    return "{ __schema { queryType " + "{ fields { type " * levels + "{ name }" + " } }" * levels + " } }"


def doubling(fragments: int) -> str:
    """Fragments that spread the next one twice, at two fields."""
    spread = " ".join(f"fragment f{n} on JobGroup {{ a{n}: name ...f{n + 1} ...f{n + 1} }}" for n in range(fragments))
    return f"{{ {NODE} {{ ...f0 }} }} {spread} fragment f{fragments} on JobGroup {{ name }}"


HOSTILE: list[tuple[str, str]] = [
    ("no GraphQL", "{"),
    ("an unknown field", "{ rot { config { uid } } }"),
    ("too many aliases", "{ " + " ".join(f"a{n}: {NODE} {{ uid }}" for n in range(ALIASES_LIMIT + 1)) + " }"),
    ("1,000 aliases", "{ " + " ".join(f"a{n}: {NODE} {{ uid }}" for n in range(1_000)) + " }"),
    ("too many fields", f"{{ {NODE} {{ " + "uid " * (FIELDS_LIMIT + 1) + "} }"),
    ("too many tokens", "{ " + "root " * 100_000 + "}"),
    ("too deep", deep(DEPTH_LIMIT)),
    ("absurdly deep", "{" + "a{" * 900 + "b" + "}" * 900 + "}"),
    ("fragments in a cycle", f"{{ {NODE} {{ ...a }} }} fragment a on Node {{ ...b }} fragment b on Node {{ ...a }}"),
    ("fragments that double", doubling(60)),
    ("a chain of fragments", doubling(60).replace("...f1 ...f1", "...f1")),
    ("a fragment that is not there", f"{{ {NODE} {{ ...a }} }}"),
]


@pytest.mark.parametrize("query", [h[1] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
async def test_a_hostile_query_is_refused(gateway: Gateway, query: str) -> None:
    answer = await send(gateway, {"query": query})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]


async def test_the_example_of_its_page_is_answered_for_many_waiting_jobs() -> None:
    store = memory_store()
    await seed(store)
    groups = [f"/config/job-groups/g{number:02}" for number in range(FIRST_DEFAULT)]
    for group in groups:
        jobs = [Command("create", f"{group}/jobs/j{number:02}", {"steps": STEPS}) for number in range(50)]
        await done(store, Command("create", group), *jobs)
        await done(store, *(Command("patchSpec", job.path, {}, {"team": "red"}) for job in jobs))
    query = re.findall(r"```graphql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    async with open_gateway(store) as gateway:
        answer = (
            await gateway.client.post("/graphql", json={"query": query.replace('"running", ', '"pending", ')})
        ).json()
    assert "errors" not in answer, answer["errors"][:1]
    found = answer["data"]["root"]["config"]["jobGroups"]["edges"]
    assert [len(group["node"]["jobs"]["edges"]) for group in found] == [0, *[50] * (FIRST_DEFAULT - 1)]


async def test_a_refusal_names_what_is_too_dear(gateway: Gateway) -> None:
    groups = "".join(f"g{n}: jobGroups(first: 990) {{ totalCount }} " for n in range(21))
    answer = await send(gateway, {"query": f"{{ root {{ config {{ {groups} }} }} }}"})
    assert "(pages 20790): ask for smaller pages" in answer.json()["errors"][-1]["message"]


async def test_pages_that_multiply_are_refused(gateway: Gateway) -> None:
    groups = "".join(f"g{n}: jobGroups(first: 1000) {{ pageInfo {{ endCursor }} }} " for n in range(21))
    answer = await send(gateway, {"query": f"{{ root {{ config {{ {groups} }} }} }}"})
    assert str(NODES_LIMIT) in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("arguments", "pointer"),
    [("first: 0", "/first"), ("first: 1001", "/first"), ('after: "x"', "/after")],
)
async def test_a_wrong_argument_is_named(gateway: Gateway, arguments: str, pointer: str) -> None:
    query = f"{{ root {{ config {{ jobGroups({arguments}) {{ pageInfo {{ endCursor }} }} }} }} }}"
    (error,) = (await send(gateway, {"query": query})).json()["errors"]
    assert error["extensions"]["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ({}, "/query", "required"),
        ({"query": ""}, "/query", "required"),
        ({"query": 1}, "/query", "a string"),
        ({"query": None}, "/query", "a string"),
        ({"query": "{ root }", "variables": []}, "/variables", "an object"),
        ({"query": "{ root }", "operationName": 1}, "/operationName", "a string"),
        ({"query": "{ root }", "odd": 1}, "/odd", "no such member"),
        ({"query": "query A { __typename } query B { __typename }"}, "/operationName", "none is named"),
        ({"query": "query A { __typename }", "operationName": "B"}, "/operationName", "no such operation"),
        ({"query": "subscription { jobs { what } }"}, "/query", "websocket"),
    ],
)
async def test_a_request_that_is_none_is_a_problem(
    gateway: Gateway, document: dict[str, Any], pointer: str, message: str
) -> None:
    answer = await send(gateway, document)
    assert answer.status_code == 422
    (found,) = answer.json()["errors"]
    assert found["pointer"] == pointer
    assert message in found["message"]


async def test_of_several_mutations_none_is_run_unless_it_is_named(gateway: Gateway) -> None:
    def create(name: str) -> str:
        path = f"/config/job-groups/{name.lower()}"
        return f'mutation {name} {{ createJobGroup(input: {{path: "{path}"}}) {{ jobGroup {{ path }} }} }}'

    both, before = f"{create('A')} {create('B')}", await gateway.position()
    assert (await send(gateway, {"query": both})).status_code == 422
    assert await gateway.position() == before
    answer = await send(gateway, {"query": both, "operationName": "B"})
    assert answer.json()["data"]["createJobGroup"]["jobGroup"]["path"] == "/config/job-groups/b"


async def test_a_query_that_takes_too_long_to_check_is_told_so(gateway: Gateway) -> None:
    answer = await send(gateway, {"query": f"{{ {NODE} {{ {'uid ' * 990} }} }}"})
    assert answer.status_code == 400
    assert "too long to check" in answer.json()["errors"][-1]["message"]


async def test_only_json_is_taken(gateway: Gateway) -> None:
    answer = await gateway.client.post("/graphql", content=b"query={root}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


async def test_what_it_takes_and_answers_is_described(gateway: Gateway) -> None:
    document = (await gateway.client.get("/openapi.json")).json()
    described = document["paths"]["/graphql"]["post"]
    assert set(described["requestBody"]["content"]) == {"application/json"}
    assert set(described["responses"]["400"]["content"]) == {"application/json", "application/problem+json"}
    schemas = document["components"]["schemas"]
    assert described["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/GraphQLRequest")
    assert described["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/GraphQLAnswer")
    taken = {**dict.fromkeys(schemas["GraphQLRequest"]["properties"]), "query": "{ rot }"}
    answer = await send(gateway, taken)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert set(answer.json()) == set(schemas["GraphQLAnswer"]["properties"])
