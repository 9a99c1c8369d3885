"""Queries: the graph from its root, by path, in pages, with a number of database queries that does not grow."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from graphql import get_introspection_query

from datamodel.command import Command
from datamodel.scheduling.model import MODEL
from tests.counting import CountingStore
from tests.gateway import Gateway, ask, open_gateway
from tests.graph import JOBS, STEPS, SYSTEM, done, new_edge, new_job, place, report

PAGE = """
query Page($groups: Int!, $jobs: Int!) {
  root { config { jobGroups(first: $groups) { edges { node {
    name
    jobs(first: $jobs) { edges { node { name } } pageInfo { hasNextPage } }
  } } } } }
}
"""


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[CountingStore]:
    async with CountingStore(database_url, MODEL) as store:
        yield store


@pytest_asyncio.fixture
async def gateway(store: CountingStore) -> AsyncIterator[Gateway]:
    async with open_gateway(store) as gateway:
        yield gateway


async def test_a_job_is_seen_with_its_parts_executions_and_attempts(gateway: Gateway) -> None:
    await new_edge(gateway.store, "e")
    job = await new_job(gateway.store, chunks=2, outputs={"n": "sum"})
    attempt = await place(gateway.store, job)
    await report(gateway.store, attempt, phase="running", percent=50.0)
    data = await ask(
        gateway,
        """
        query Job($path: String!) { node(path: $path) { __typename path version createdAt ... on Job {
          spec { chunks steps { name image script env } requests { cpu memoryBytes } outputs }
          status { phase percentCompleted chunks { pending running } startedAt outputs conditions { type } }
          executions { site edge chunks running percent }
          attempts { edges { node { path kind links status { phase percent } spec { index } } } }
        } } }
        """,
        path=job.path,
    )
    node = data["node"]
    document = (await gateway.client.get(f"/v1{job.path}")).json()
    assert node.pop("createdAt") == document["metadata"]["createdAt"]
    assert node == {
        "__typename": "Job",
        "path": job.path,
        "version": job.version,
        "spec": {
            "chunks": 2,
            "steps": [{**STEPS[0], "env": {}}],
            "requests": {"cpu": 0.25, "memoryBytes": 2**20},
            "outputs": {"n": "sum"},
        },
        "status": {
            "phase": "pending",
            "percentCompleted": 0.0,
            "chunks": {"pending": 2, "running": 0},
            "startedAt": None,
            "outputs": None,
            "conditions": [],
        },
        "executions": [{"site": "s", "edge": "e", "chunks": 1, "running": 1, "percent": 50.0}],
        "attempts": {
            "edges": [
                {
                    "node": {
                        "path": attempt,
                        "kind": "Attempt",
                        "links": {"job": [job.uid]},
                        "status": {"phase": "running", "percent": 50.0},
                        "spec": {"index": 0},
                    }
                }
            ]
        },
    }


async def test_all_planes_hang_on_the_root(gateway: Gateway) -> None:
    await new_edge(gateway.store, "e")
    data = await ask(
        gateway,
        """{ root {
          config { scheduler { spec { policy } status { jobs } } }
          inventory { sites { edges { node { name edges(phase: "online") { edges { node {
            name spec { capacity { cpu memoryBytes } } } } } } } } }
          desiredConfig { sites { edges { node { edges { edges { node { spec { cordoned } } } } } } } }
        } }""",
    )
    assert data["root"] == {
        "config": {"scheduler": {"spec": {"policy": "bestFit"}, "status": {"jobs": {}}}},
        "inventory": {
            "sites": {
                "edges": [
                    {
                        "node": {
                            "name": "s",
                            "edges": {
                                "edges": [
                                    {"node": {"name": "e", "spec": {"capacity": {"cpu": 1.0, "memoryBytes": 2**30}}}}
                                ]
                            },
                        }
                    }
                ]
            }
        },
        "desiredConfig": {
            "sites": {"edges": [{"node": {"edges": {"edges": [{"node": {"spec": {"cordoned": False}}}]}}}]}
        },
    }


async def test_pages_follow_each_other_by_cursor_and_phase(gateway: Gateway) -> None:
    for name in ("a", "b", "c", "d"):
        await new_job(gateway.store, name)
    await done(gateway.store, Command("patchStatus", f"{JOBS}/b", {"phase": "running"}), actor=SYSTEM)
    query = """
    query Jobs($after: String) { node(path: "/config/job-groups/default") { ... on JobGroup {
      jobs(first: 2, after: $after, phase: "pending") {
        edges { cursor node { name } } pageInfo { hasNextPage endCursor }
      }
    } } }
    """
    first = (await ask(gateway, query))["node"]["jobs"]
    assert [edge["node"]["name"] for edge in first["edges"]] == ["a", "c"]
    assert first["pageInfo"] == {"hasNextPage": True, "endCursor": first["edges"][1]["cursor"]}
    rest = (await ask(gateway, query, after=first["pageInfo"]["endCursor"]))["node"]["jobs"]
    assert [edge["node"]["name"] for edge in rest["edges"]] == ["d"]
    assert not rest["pageInfo"]["hasNextPage"]


async def test_children_of_many_parents_are_one_query(gateway: Gateway, store: CountingStore) -> None:
    groups = [f"g{number}" for number in range(12)]
    await done(store, *(Command("create", f"/config/job-groups/{group}") for group in groups))
    jobs = [
        Command("create", f"/config/job-groups/{group}/jobs/{name}", {"steps": STEPS})
        for group in groups
        for name in "ab"
    ]
    await done(store, *jobs)

    async def queries(groups: int) -> int:
        before = store.database.queries
        data = await ask(gateway, PAGE, groups=groups, jobs=1)
        found = data["root"]["config"]["jobGroups"]["edges"]
        assert len(found) == groups
        assert all(
            edge["node"]["jobs"]["pageInfo"]["hasNextPage"] for edge in found if edge["node"]["name"] != "default"
        )
        return store.database.queries - before

    assert await queries(2) == await queries(13)


async def test_what_is_not_there_is_null(gateway: Gateway) -> None:
    assert await ask(gateway, '{ node(path: "/config/job-groups/absent") { uid } }') == {"node": None}


async def test_the_explorer_can_ask_for_the_whole_schema(gateway: Gateway) -> None:
    data = await ask(gateway, get_introspection_query(specified_by_url=True, input_value_deprecation=True))
    assert set(MODEL.kinds) <= {found["name"] for found in data["__schema"]["types"]}


async def test_a_job_is_explained(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    job = await new_job(gateway.store, "j", chunks=2, retries=0)
    await report(gateway.store, await place(gateway.store, job), phase="failed", reason="OOMKilled", exitCodes=[137])
    query = """query { node(path: "%s") { ... on Job { explain {
      phase intent summary chunks edges { reason edges example message }
      failures { index failures goesOn reason exitCodes site edge } unheard { edge }
    } } } }"""
    told = (await ask(gateway, query % job.path))["node"]["explain"]
    assert told["chunks"] == {"pending": 1, "failed": 1}
    assert [(some["reason"], some["example"]) for some in told["edges"]] == [("NotOnline", "s/e")]
    assert told["failures"] == [
        {
            "index": 0,
            "failures": 1,
            "goesOn": False,
            "reason": "OOMKilled",
            "exitCodes": [137],
            "site": "s",
            "edge": "e",
        }
    ]
    assert (told["intent"], told["unheard"]) == ("run", [])
    assert told["summary"].startswith("1 of its 2 chunks wait")


async def test_a_job_is_explained_as_it_was(gateway: Gateway) -> None:
    job = await new_job(gateway.store, "j")
    then = await gateway.position()
    await new_edge(gateway.store)
    query = """query { node(path: "%s") { ... on Job {
      now: explain { reason edges { reason } queue { groupJobs groupChunks jobs chunks atLeast } start { at basis }
                     changes { what message edge } placed { index why } }
      then: explain(asOf: "%s") { summary edges { reason } changes { what message edge } } } } }"""
    told = (await ask(gateway, query % (job.path, then)))["node"]
    assert told["now"] == {
        "reason": "NoRoom",
        "edges": [{"reason": "NotOnline"}],
        "queue": {"groupJobs": 0, "groupChunks": 0, "jobs": 0, "chunks": 0, "atLeast": False},
        "start": {"at": "", "basis": "no chunk has succeeded lately, so nothing tells when there is room"},
        "changes": [{"what": "BeOnline", "message": "s/e is online", "edge": "s/e"}],
        "placed": [],
    }
    assert told["then"] == {
        "summary": "1 of its 1 chunks wait: there is no edge",
        "edges": [],
        "changes": [
            {
                "what": "NewEdge",
                "message": "an edge with 0.25 cores and 1048576 bytes of memory and 1 watts",
                "edge": "",
            }
        ],
    }
    answer = await gateway.client.post("/graphql", json={"query": query % (job.path, then - 1)})
    assert "does not exist then" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("document", [{"operationName": "Other"}, {"query": "fragment F on Node { name }"}])
async def test_an_operation_that_is_not_there_is_named(gateway: Gateway, document: dict[str, str]) -> None:
    answer = await gateway.client.post("/graphql", json={"query": "query One { __typename }", **document})
    assert 400 <= answer.status_code < 500, answer.text
