"""History and differences in GraphQL are those that REST tells."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.gateway import Gateway, ask, open_gateway
from tests.graph import JOBS, SYSTEM, done, new_job

GROUP = "/config/job-groups/default"
EVENTS = "events { position id at op path uid kind part actor cause correlation } cursor keptFrom"
HISTORY = f"""query History($path: String!, $first: Int, $after: String, $oldest: Boolean! = false) {{
  history(path: $path, first: $first, after: $after, oldestFirst: $oldest) {{ {EVENTS} }} }}"""
DIFF = """query Diff($path: String!, $from: Moment!, $to: Moment, $below: Boolean! = false, $first: Int, $after: String) {
  diff(path: $path, from: $from, to: $to, below: $below, first: $first, after: $after) {
    from to cursor found { path change before { version } after { version kind ... on Job { spec { retries } } } } } }"""


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def changed(gateway: Gateway) -> str:
    """The path of a job with four events."""
    path = (await new_job(gateway.store)).path
    await done(gateway.store, Command("patchSpec", path, {"retries": 3}))
    await done(gateway.store, Command("patchStatus", path, {"phase": "failed"}), actor=SYSTEM)
    await done(gateway.store, Command("patchSpec", path, {}, {"team": "red"}))
    return path


@pytest.mark.parametrize("sort", ["position", "-position"])
async def test_the_events_of_a_node(gateway: Gateway, sort: str) -> None:
    path, oldest = await changed(gateway), sort == "position"
    expected = (await gateway.client.get(f"/v1{path}/history", params={"sort": sort})).json()
    for event in expected["items"]:
        del event["schema"]
    found = (await ask(gateway, HISTORY, path=path, oldest=oldest, first=3))["history"]
    rest = (await ask(gateway, HISTORY, path=path, oldest=oldest, first=3, after=found["cursor"]))["history"]
    assert [*found["events"], *rest["events"]] == expected["items"]
    assert (rest["cursor"], rest["keptFrom"]) == (None, expected["keptFrom"])
    own = f"query Own($path: String!) {{ node(path: $path) {{ ... on Job {{ history {{ {EVENTS} }} }} }} }}"
    assert (await ask(gateway, own, path=path))["node"]["history"]["events"][0] == (
        expected["items"][-1 if oldest else 0]
    )


async def test_what_is_different(gateway: Gateway) -> None:
    before = await gateway.position()
    path = await changed(gateway)
    now = await gateway.position()
    await new_job(gateway.store, "k")
    found = (await ask(gateway, DIFF, path=path, **{"from": now - 3, "to": now}))["diff"]
    assert found == {
        "from": now - 3,
        "to": now,
        "cursor": None,
        "found": [
            {
                "path": path,
                "change": "changed",
                "before": {"version": now - 3},
                "after": {"version": now, "kind": "Job", "spec": {"retries": 3}},
            }
        ],
    }
    first = (await ask(gateway, DIFF, path=GROUP, below=True, first=1, **{"from": before}))["diff"]
    rest = (await ask(gateway, DIFF, path=GROUP, below=True, after=first["cursor"], **{"from": before}))["diff"]
    told = [(one["path"], one["change"], one["before"]) for one in (*first["found"], *rest["found"])]
    assert told == [(f"{JOBS}/j", "created", None), (f"{JOBS}/k", "created", None)]
    own = """query Own($path: String!, $from: Moment!) { node(path: $path) { ... on Job {
      diff(from: $from) { found { change } } } } }"""
    assert (await ask(gateway, own, path=path, **{"from": before}))["node"]["diff"] == {
        "found": [{"change": "created"}]
    }


@pytest.mark.parametrize(
    ("query", "variables", "pointer"),
    [
        (HISTORY, {"path": "/odd"}, "/path"),
        (HISTORY, {"path": f"{JOBS}/absent"}, "/path"),
        (DIFF, {"path": f"{JOBS}/absent", "from": 1}, "/path"),
        (HISTORY, {"path": GROUP, "first": 0}, "/first"),
        (HISTORY, {"path": GROUP, "after": "x"}, "/after"),
        (DIFF, {"path": GROUP, "from": "x"}, "/from"),
        (DIFF, {"path": GROUP, "from": 2, "to": 1}, "/to"),
        (DIFF, {"path": GROUP, "from": 999_999}, "/from"),
        (DIFF, {"path": GROUP, "from": 1, "after": "x"}, "/after"),
    ],
)
async def test_what_is_wrong_is_named(gateway: Gateway, query: str, variables: dict[str, Any], pointer: str) -> None:
    answer = (await gateway.client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert [found["pointer"] for found in answer["errors"][0]["extensions"]["errors"]] == [pointer]


async def test_the_past_of_many_nodes_at_once_is_too_much(gateway: Gateway) -> None:
    many = " ".join(f'a{number}: history(path: "{GROUP}", first: 1000) {{ cursor }}' for number in range(21))
    answer = (await gateway.client.post("/graphql", json={"query": f"{{ {many} }}"})).json()
    assert "(history 21000): ask for smaller pages" in answer["errors"][0]["message"]
