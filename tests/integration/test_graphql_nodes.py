"""Nodes by path, now and then; all nodes of a kind wherever they are; and where a node's links lead."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from datamodel.command import Command
from datamodel.scheduling.model import MODEL
from tests.counting import CountingStore
from tests.gateway import Gateway, ask, open_gateway
from tests.graph import JOBS, done, new_edge, new_job, place


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[CountingStore]:
    async with CountingStore(database_url, MODEL) as store:
        yield store


@pytest_asyncio.fixture
async def gateway(store: CountingStore) -> AsyncIterator[Gateway]:
    async with open_gateway(store) as gateway:
        yield gateway


async def refused(gateway: Gateway, query: str, **variables: Any) -> str:
    """The pointer of the one error of an answer."""
    (error,) = (await gateway.client.post("/graphql", json={"query": query, "variables": variables})).json()["errors"]
    pointer: str = error["extensions"]["errors"][0]["pointer"]
    return pointer


NODE = "query Node($path: String!, $asOf: Moment) { node(path: $path, asOf: $asOf) { version labels } }"
NODES = "query Nodes($paths: [String!]!, $asOf: Moment) { nodes(paths: $paths, asOf: $asOf) { name version } }"


async def test_a_node_is_shown_as_it_was(gateway: Gateway) -> None:
    before = await gateway.position()
    was = await new_job(gateway.store)
    await done(gateway.store, Command("patchSpec", was.path, {}, {"team": "red"}))
    now = await gateway.position()
    assert (await ask(gateway, NODE, path=was.path))["node"] == {"version": now, "labels": {"team": "red"}}
    assert (await ask(gateway, NODE, path=was.path, asOf=was.version))["node"] == {"version": was.version, "labels": {}}
    assert (await ask(gateway, NODE, path=was.path, asOf=before))["node"] is None
    for path, moment, pointer in (("/odd", None, "/path"), (was.path, now + 1, "/asOf"), (was.path, "then", "/asOf")):
        assert await refused(gateway, NODE, path=path, asOf=moment) == pointer


async def test_nodes_are_shown_in_the_order_that_was_asked_for(gateway: Gateway, store: CountingStore) -> None:
    first, second = await new_job(gateway.store, "a"), await new_job(gateway.store, "b")
    paths = [second.path, f"{JOBS}/absent", first.path, second.path]
    before = store.database.queries
    found = (await ask(gateway, NODES, paths=paths))["nodes"]
    assert store.database.queries - before == 1
    assert [node and node["name"] for node in found] == ["b", None, "a", "b"]
    found = (await ask(gateway, NODES, paths=paths, asOf=first.version))["nodes"]
    assert [node and node["name"] for node in found] == [None, None, "a", None]
    assert await refused(gateway, NODES, paths=[first.path, "odd"]) == "/paths/1"
    assert await refused(gateway, NODES, paths=[first.path] * 1_001) == "/paths"


KINDS = """
query Attempts($under: String, $first: Int, $where: AttemptWhere) { kinds {
  attempts(under: $under, first: $first, where: $where, phase: "pending") {
    totalCount pageInfo { endCursor } edges { node { path } } } } }
"""


async def test_all_nodes_of_a_kind_are_found_wherever_they_are(gateway: Gateway) -> None:
    await new_edge(gateway.store, "e")
    await new_edge(gateway.store, "f")
    found = await new_job(gateway.store, chunks=2)
    attempts = [await place(gateway.store, found, 0, edge="e"), await place(gateway.store, found, 1, edge="f")]
    data = (await ask(gateway, KINDS, first=1))["kinds"]["attempts"]
    assert (data["totalCount"], data["edges"]) == (2, [{"node": {"path": attempts[0]}}])
    under = attempts[1].rpartition("/attempts/")[0]
    data = (await ask(gateway, KINDS, under=under, first=9))["kinds"]["attempts"]
    assert [edge["node"]["path"] for edge in data["edges"]] == [attempts[1]]
    names = {"name": {"eq": attempts[0].rpartition("/")[2]}}
    data = (await ask(gateway, KINDS, where=names, first=9))["kinds"]["attempts"]
    assert [edge["node"]["path"] for edge in data["edges"]] == [attempts[0]]
    assert await refused(gateway, KINDS, under="odd", first=1) == "/under"
    assert await refused(gateway, KINDS, under="/desired-config/sites/absent", first=1) == "/under"


async def test_every_kind_has_its_plural(gateway: Gateway) -> None:
    kinds = (await gateway.client.get("/v1/kinds")).json()["items"]
    described = await ask(gateway, '{ __type(name: "Kinds") { fields { name type { ofType { name } } } } }')
    found = {field["name"]: field["type"]["ofType"]["name"] for field in described["__type"]["fields"]}
    plurals = {kind["plural"]: f"{kind['kind']}Connection" for kind in kinds if not kind["singleton"]}
    assert {name.replace("-", "").lower(): to for name, to in plurals.items()} == {
        name.lower(): to for name, to in found.items()
    }


async def test_a_link_is_followed_both_ways(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    made = await new_job(gateway.store)
    path = await place(gateway.store, made)
    query = """query There($path: String!) { node(path: $path) { ... on Attempt {
      job { path spec { chunks } attempts { edges { node { path job { name } } } } } } } }"""
    assert (await ask(gateway, query, path=path))["node"]["job"] == {
        "path": made.path,
        "spec": {"chunks": 1},
        "attempts": {"edges": [{"node": {"path": path, "job": {"name": "j"}}}]},
    }
