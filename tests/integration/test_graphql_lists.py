"""Connections find what REST's lists find: selected, ordered, as of a moment and counted, by as many queries for many nodes as
for few."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.scheduling.model import MODEL
from tests.counting import CountingStore
from tests.gateway import Gateway, open_gateway
from tests.graph import JOBS, STEPS, SYSTEM, done, job, new_edge, new_job, place, report

GROUP = "/config/job-groups/default"
LIST = """
query List($path: String!, $first: Int! = 100, $after: String, $where: JobWhere, $order: JobOrder, $asOf: Moment,
  $phase: String) {
  node(path: $path) { ... on JobGroup {
    jobs(first: $first, after: $after, where: $where, orderBy: $order, asOf: $asOf, phase: $phase) {
      edges { cursor node { name version } } pageInfo { hasNextPage endCursor } totalCount
    }
  } }
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


async def ask(gateway: Gateway, query: str, **variables: Any) -> dict[str, Any]:
    answer = await gateway.client.post("/graphql", json={"query": query, "variables": variables})
    document: dict[str, Any] = answer.json()
    return document


async def jobs(gateway: Gateway, **variables: Any) -> dict[str, Any]:
    """The connection of an answer without errors."""
    answer = await ask(gateway, LIST, path=GROUP, **variables)
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["data"]["node"]["jobs"]
    return found


async def refused(gateway: Gateway, **variables: Any) -> dict[str, Any]:
    """The one error of an answer."""
    (error,) = (await ask(gateway, LIST, path=GROUP, **variables))["errors"]
    found: dict[str, Any] = error
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [edge["node"]["name"] for edge in found["edges"]]


async def fill(gateway: Gateway) -> None:
    """Jobs a to f, of which b and e are red, and c and e run."""
    for name in "abcdef":
        await done(gateway.store, Command("create", f"{JOBS}/{name}", {"steps": STEPS}, {"n": name}))
    for name in "eb":
        await done(gateway.store, Command("patchSpec", f"{JOBS}/{name}", {}, {"n": name, "team": "red"}))
    for name in "ce":
        await done(gateway.store, Command("patchStatus", f"{JOBS}/{name}", {"phase": "running"}), actor=SYSTEM)


@pytest.mark.parametrize(
    ("where", "parameters"),
    [
        ({}, {}),
        ({"labels": "team=red"}, {"labelSelector": "team=red"}),
        ({"labels": "!team"}, {"labelSelector": "!team"}),
        ({"status_phase": {"eq": "running"}}, {"fieldSelector": "status.phase=running"}),
        ({"status_phase": {"ne": "running"}}, {"fieldSelector": "status.phase!=running"}),
        ({"status_phase": {"eq": None}}, {"fieldSelector": "status.phase="}),
        ({"name": {"ne": "c"}}, {"fieldSelector": "metadata.name!=c"}),
        (
            {"labels": "team", "status_phase": {"eq": "running"}, "name": {"eq": "e"}},
            {"labelSelector": "team", "fieldSelector": "status.phase=running,metadata.name=e"},
        ),
    ],
)
async def test_the_same_is_found_as_over_rest(
    gateway: Gateway, where: dict[str, Any], parameters: dict[str, str]
) -> None:
    await fill(gateway)
    for sort in ("path", "-path", "createdAt", "-createdAt", "version", "-version", "status.phase", "-status.phase"):
        direction = "descending" if sort.startswith("-") else "ascending"
        order = {"by": sort.removeprefix("-").replace(".", "_"), "direction": direction}
        address = f"/v1{JOBS}"
        expected = (await gateway.client.get(address, params={**parameters, "sort": sort})).json()["items"]
        found = await jobs(gateway, where=where, order=order)
        assert names(found) == [item["metadata"]["name"] for item in expected]
        assert found["totalCount"] == len(expected)


async def test_any_of_several_values(gateway: Gateway) -> None:
    await fill(gateway)
    assert names(await jobs(gateway, where={"name": {"in": ["f", "a", "x"]}})) == ["a", "f"]
    assert names(await jobs(gateway, where={"status_phase": {"in": ["running", "failed"], "ne": "failed"}})) == [
        "c",
        "e",
    ]


async def test_pages_show_one_position_and_the_count_is_of_now(gateway: Gateway) -> None:
    await fill(gateway)
    order = {"by": "status_phase", "direction": "descending"}
    asked: dict[str, Any] = {"first": 2, "order": order}
    first = await jobs(gateway, **asked)
    assert names(first) == ["e", "c"]
    await done(gateway.store, job("g"), Command("delete", f"{JOBS}/a"))
    await done(gateway.store, Command("patchStatus", f"{JOBS}/b", {"phase": "running"}), actor=SYSTEM)
    found, page = names(first), first
    while page["pageInfo"]["hasNextPage"]:
        page = await jobs(gateway, **asked, after=page["pageInfo"]["endCursor"])
        found += names(page)
    assert found == ["e", "c", "f", "d", "b", "a"]
    assert page["totalCount"] == 7
    assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
    behind = await jobs(gateway, **asked, after=first["edges"][0]["cursor"])
    assert names(behind) == ["c", "f"]


async def test_what_was_so_at_a_moment(gateway: Gateway) -> None:
    await fill(gateway)
    position = await gateway.position()
    await done(gateway.store, job("g"), Command("delete", f"{JOBS}/a"))
    running = {"status_phase": {"eq": "running"}}
    await done(gateway.store, Command("patchStatus", f"{JOBS}/c", {"phase": "failed"}), actor=SYSTEM)
    for moment in (position, str(position)):
        then = await jobs(gateway, asOf=moment)
        assert (names(then), then["totalCount"]) == (list("abcdef"), 6)
        assert names(await jobs(gateway, asOf=moment, where=running, first=1)) == ["c"]
        then = await jobs(gateway, asOf=moment, phase="running")
        assert (names(then), then["totalCount"]) == (["c", "e"], 2)
    now = await jobs(gateway, where=running, asOf=(await gateway.store.head()).at.isoformat())
    assert (names(now), now["totalCount"]) == (["e"], 1)


@pytest.mark.parametrize(
    ("variables", "pointer"),
    [
        ({"first": 0}, "/first"),
        ({"first": 1001}, "/first"),
        ({"after": "none"}, "/after"),
        ({"asOf": "yesterday"}, "/asOf"),
        ({"asOf": "2026-01-31T12:00:00"}, "/asOf"),
        ({"asOf": 999_999}, "/asOf"),
        ({"phase": "odd"}, "/phase"),
        ({"where": {"labels": "a=="}, "first": 0}, "/first"),
        ({"where": {"labels": "a b"}}, "/where/labels"),
        ({"where": {"name": {"in": []}}}, "/where/name/in"),
        ({"where": {"name": {"in": [str(number) for number in range(65)]}}}, "/where/name/in"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Gateway, variables: dict[str, Any], pointer: str) -> None:
    error = await refused(gateway, **variables)
    assert [found["pointer"] for found in error["extensions"]["errors"]] == [pointer]
    assert error["path"] == ["node", "jobs"]


async def test_a_cursor_belongs_to_one_list(gateway: Gateway) -> None:
    await fill(gateway)
    cursor = (await jobs(gateway, first=2))["pageInfo"]["endCursor"]
    for other in ({"where": {"labels": "team"}}, {"order": {"by": "version"}}):
        error = await refused(gateway, after=cursor, **other)
        assert error["extensions"]["errors"][0]["pointer"] == "/after"


async def test_what_is_not_of_its_type_is_refused_by_the_schema(gateway: Gateway) -> None:
    for variables in ({"where": {"odd": {"eq": "x"}}}, {"where": {"name": {"eq": 3}}}, {"asOf": True}, {"asOf": 1.5}):
        answer = await gateway.client.post("/graphql", json={"query": LIST, "variables": {"path": GROUP, **variables}})
        assert answer.status_code == 400, answer.text


async def test_numbers_flags_and_texts_of_another_kind_are_typed(gateway: Gateway) -> None:
    await new_edge(gateway.store, "e1")
    query = """{ root { inventory { sites { edges { node {
      edges(where: {spec_runtime: {eq: "simulated"}, status_phase: {eq: "online"}}, orderBy: {by: spec_agent}) {
        edges { node { name } } totalCount } } } } } } }"""
    sites = (await ask(gateway, query))["data"]["root"]["inventory"]["sites"]["edges"]
    assert sites == [{"node": {"edges": {"edges": [{"node": {"name": "e1"}}], "totalCount": 1}}}]


async def test_what_links_to_a_node_is_selected_too(gateway: Gateway) -> None:
    await new_edge(gateway.store, cpu=9.0, memoryBytes=2**40)
    found = await new_job(gateway.store, chunks=4)
    attempts = [await place(gateway.store, found, index) for index in range(4)]
    then = await gateway.position()
    await report(gateway.store, attempts[1], phase="running", percent=1.0)
    query = """query Attempts($path: String!, $asOf: Moment, $after: String) { node(path: $path) { ... on Job {
      running: attempts(phase: "running", asOf: $asOf) { edges { node { path } } totalCount }
      last: attempts(first: 3, after: $after, orderBy: {direction: descending}) {
        edges { node { path } } pageInfo { endCursor hasNextPage } totalCount }
    } } }"""
    node = (await ask(gateway, query, path=found.path))["data"]["node"]
    assert node["running"] == {"edges": [{"node": {"path": attempts[1]}}], "totalCount": 1}
    assert [edge["node"]["path"] for edge in node["last"]["edges"]] == sorted(attempts, reverse=True)[:3]
    assert node["last"]["totalCount"] == 4
    after = node["last"]["pageInfo"]["endCursor"]
    node = (await ask(gateway, query, path=found.path, asOf=then, after=after))["data"]["node"]
    assert node["running"] == {"edges": [], "totalCount": 0}
    assert [edge["node"]["path"] for edge in node["last"]["edges"]] == sorted(attempts)[:1]


GROUPS = """
query Groups($groups: Int!, $jobs: Int!) { root { config { jobGroups(first: $groups) { edges { node { %s } } } } } }
"""
NESTED = {
    "plain": "jobs(first: $jobs) { edges { cursor node { name } } }",
    "of a moment": "jobs(first: $jobs, asOf: THEN) { totalCount edges { node { name } } }",
    "sorted": "jobs(first: $jobs, orderBy: {by: status_phase, direction: descending}) { edges { node { name } } }",
    "sorted, of a moment": "jobs(first: $jobs, asOf: THEN, orderBy: {by: version}) { edges { node { name } } }",
    "chosen and counted": """jobs(first: $jobs, where: {labels: "n", status_phase: {in: ["running", "pending"]}}) {
      totalCount edges { node { name } } }""",
    "with executions": "jobs(first: $jobs) { edges { node { executions { site edge chunks } } } }",
    "with what links to it": """jobs(first: $jobs) { edges { node {
      attempts(first: 3, orderBy: {by: createdAt}) { totalCount edges { node { name job { name } } } } } } }""",
    "explained": """jobs(first: $jobs) { edges { node { explain {
      summary failures { reason } unheard { edge } queue { jobs } changes { what } placed { why } } } } }""",
    "explained, of a moment": """jobs(first: $jobs) { edges { node { explain(asOf: "THEN") {
      summary failures { reason } unheard { edge } queue { jobs } changes { what } placed { why } } } } }""",
    "with their events": "jobs(first: $jobs) { edges { node { history(first: 2) { events { op } cursor } } } }",
    "with what is different": "jobs(first: $jobs) { edges { node { diff(from: 1) { found { change } } } } }",
    "with what is different below": "jobs(first: $jobs) { edges { node { diff(from: 1, below: true) { cursor } } } }",
}


@pytest_asyncio.fixture
async def busy(store: CountingStore) -> int:
    """Twelve groups of four jobs, with attempts on one edge or two; the second one of each first job has failed. Of each group
    one job has changed since the position."""
    groups = [f"/config/job-groups/g{number:02}" for number in range(12)]
    await done(store, *(Command("create", group) for group in groups))
    await new_edge(store, cpu=999.0, memoryBytes=2**50, powerW=999.0)
    for name in "abcd":
        made = [
            Command("create", f"{group}/jobs/{name}", {"steps": STEPS, "chunks": 3}, {"n": name}) for group in groups
        ]
        await done(store, *made)
    await new_edge(store, "f", cpu=999.0, memoryBytes=2**50, powerW=999.0)
    for number, found in enumerate(await store.list_nodes("Job", limit=99)):
        for edge in "e" if number % 4 == 2 else "ef":
            path = await place(store, found, "ef".index(edge), edge=edge)
        if number % 4 == 0:
            await report(store, path, phase="failed", reason="OOMKilled")
    then = (await store.head()).position
    for group in groups:
        await done(store, Command("patchStatus", f"{group}/jobs/a", {"phase": "running"}), actor=SYSTEM)
    return then


@pytest.mark.parametrize("name", NESTED)
async def test_a_page_takes_as_many_queries_whatever_its_size(
    gateway: Gateway, store: CountingStore, busy: int, name: str
) -> None:
    async def queries(groups: int, jobs: int) -> int:
        before = store.database.queries
        query = GROUPS % NESTED[name].replace("THEN", str(busy))
        answer = await ask(gateway, query, groups=groups, jobs=jobs)
        assert "errors" not in answer, answer
        found = answer["data"]["root"]["config"]["jobGroups"]["edges"]
        assert [len(edge["node"]["jobs"]["edges"]) for edge in found] == [0, *[jobs] * (groups - 1)]
        return store.database.queries - before

    few = await queries(2, 1)
    assert [await queries(2, 3), await queries(13, 1), await queries(13, 3)] == [few] * 3


@pytest.mark.usefixtures("busy")
async def test_jobs_that_are_explained_together_are_told_what_each_is_told(
    gateway: Gateway, store: CountingStore
) -> None:
    await done(store, job("other", requests={"cpu": 4_000, "memoryBytes": 1, "powerW": 1}))
    await done(store, Command("patchStatus", "/inventory/sites/s/edges/f", {"phase": "online"}), actor=SYSTEM)
    query = """{ kinds { jobs(first: 60) { edges { node { path explain {
      phase intent summary reason chunks edges { reason message edges example resource }
      failures { index arrayIndex failures goesOn againAt site edge reason message exitCodes }
      unheard { site edge phase since chunks }
      queue { groupJobs groupChunks jobs chunks atLeast } changes { what message edge }
      placed { index site edge since why } } } } } } }"""
    found = [edge["node"] for edge in (await ask(gateway, query))["data"]["kinds"]["jobs"]["edges"]]
    assert len(found) == 49
    assert {len(node["explain"]["failures"]) for node in found} == {0, 1}
    assert {edge["reason"] for node in found for edge in node["explain"]["edges"]} == {
        "HasRoom",
        "NotOnline",
        "TooSmall",
    }
    for node in [*found[:4], *found[-2:]]:
        _, _, _, group, _, name = node["path"].split("/")
        answer = (await gateway.client.get(f"/v1/jobs/{group}/{name}/explain")).json()
        del answer["start"]  # of another second
        assert {"path": node["path"], **node["explain"]} == answer
