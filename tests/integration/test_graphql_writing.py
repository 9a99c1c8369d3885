"""Mutations of the kinds: each is what REST does with the same document, and tells what is wrong by pointers into its input."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import JOBS, new_edge, new_job, place, present

GROUP = "/config/job-groups/g"


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def write(gateway: Gateway, verb: str, kind: str, shown: str = "", **sent: Any) -> tuple[Any, dict[str, str]]:
    """What a mutation of a kind answers: the node, with so much of it shown, and its errors by pointer."""
    node = f"{kind[0].lower()}{kind[1:]}"
    query = f"""mutation Do($input: {verb.capitalize()}{kind}Input!) {{ {verb}{kind}(input: $input) {{
      {node} {{ path version labels {shown} }}
      userErrors {{ pointer message }}
    }} }}"""
    answer = await gateway.client.post("/graphql", json={"query": query, "variables": {"input": sent}})
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    payload = answer.json()["data"][f"{verb}{kind}"]
    return payload[node], {error["pointer"]: error["message"] for error in payload["userErrors"]}


async def group(gateway: Gateway, verb: str, **sent: Any) -> tuple[Any, dict[str, str]]:
    return await write(gateway, verb, "JobGroup", "spec { description }", path=GROUP, **sent)


async def test_a_node_is_created_applied_and_patched(gateway: Gateway) -> None:
    made, errors = await group(gateway, "create", spec={"description": "d"}, labels={"team": "red"})
    assert not errors
    assert made["spec"] == {"description": "d"}
    assert made["labels"] == {"team": "red"}
    applied, _ = await group(gateway, "apply", spec={"description": "e"})
    assert applied["spec"] == {"description": "e"}
    assert applied["labels"] == {"team": "red"}
    patched, _ = await group(gateway, "patch", labels={"team": None, "zone": "a"})
    assert patched["labels"] == {"zone": "a"}
    assert patched["spec"] == {"description": "e"}
    assert patched["version"] > applied["version"] > made["version"]
    reset, _ = await group(gateway, "patch", spec={"description": None}, labels=None)
    assert reset["spec"] == {"description": ""}
    assert reset["labels"] == {}


async def test_parts_of_a_spec_are_typed(gateway: Gateway) -> None:
    spec = {"chunks": 3, "steps": [{**STEP, "env": {"A": "1"}}], "requests": {"cpu": 2}, "annotations": {"a": "b"}}
    job, errors = await write(gateway, "create", "Job", "spec { chunks }", path=f"{JOBS}/j", spec=spec)
    assert not errors
    assert job["spec"] == {"chunks": 3}
    stored = (await present(gateway.store, f"{JOBS}/j")).spec
    assert stored["steps"][0]["env"] == {"A": "1"}
    assert stored["requests"]["cpu"] == 2
    patched, _ = await write(gateway, "patch", "Job", "spec { retries chunks }", path=job["path"], spec={"retries": 3})
    assert patched["spec"] == {"retries": 3, "chunks": 3}
    kept, errors = await write(gateway, "patch", "Job", path=job["path"], spec={"requests": {"cpu": 1}})
    assert kept is None
    assert list(errors) == ["/spec/requests"]


async def test_a_fixed_part_is_applied_and_not_created(gateway: Gateway) -> None:
    scheduler, errors = await write(
        gateway, "apply", "Scheduler", "spec { policy }", path="/config/scheduler", spec={"policy": "firstFit"}
    )
    assert not errors
    assert scheduler["spec"] == {"policy": "firstFit"}
    query = {"query": '{ __type(name: "Mutation") { fields { name } } }'}
    fields = (await gateway.client.post("/graphql", json=query)).json()["data"]["__type"]["fields"]
    names = {field["name"] for field in fields}
    assert {"applyScheduler", "patchScheduler", "createJob", "createSiteConfig"} <= names
    assert not names & {"createScheduler", "createEdge", "applyAttempt", "patchConfig"}


@pytest.mark.parametrize(
    ("verb", "kind", "sent", "pointer"),
    [
        ("create", "Job", {"path": f"{JOBS}/j", "spec": {}}, "/spec/steps"),
        ("create", "Job", {"path": f"{JOBS}/j", "spec": {"steps": [STEP], "chunks": 0}}, "/spec/chunks"),
        ("apply", "Job", {"path": f"{JOBS}/j", "spec": {"steps": [{"name": "a"}]}}, "/spec/steps/0/image"),
        ("create", "Job", {"path": GROUP, "spec": {"steps": [STEP]}}, "/path"),
        ("create", "Job", {"path": "odd"}, "/path"),
        ("create", "Job", {"path": "/config/job-groups/absent/jobs/j", "spec": {"steps": [STEP]}}, "/path"),
        ("apply", "Job", {"path": "/config/job-groups/absent/jobs/j", "spec": {"steps": [STEP]}}, "/path"),
        ("patch", "Job", {"path": f"{JOBS}/absent", "spec": {"retries": 1}}, "/path"),
        ("patch", "Job", {"path": f"{JOBS}/absent", "labels": {"a": "b"}}, "/path"),
        ("create", "JobGroup", {"path": "/config/job-groups/default"}, "/path"),
        ("create", "JobGroup", {"path": GROUP, "labels": {"a": 1}}, "/labels/a"),
        ("apply", "JobGroup", {"path": GROUP, "labels": ["a"]}, "/labels"),
        ("patch", "JobGroup", {"path": GROUP}, "/path"),
        ("patch", "JobGroup", {"path": "/config/job-groups/default", "labels": {"!": "a"}}, "/labels"),
        ("patch", "JobGroup", {"path": "/config/job-groups/default", "version": 1}, "/version"),
        ("patch", "JobGroup", {"path": "/config/job-groups/default", "labels": {}, "version": 1}, "/version"),
        ("apply", "JobGroup", {"path": GROUP, "idempotencyKey": "k" * 256}, "/idempotencyKey"),
    ],
)
async def test_what_is_wrong_is_named_in_the_input(
    gateway: Gateway, verb: str, kind: str, sent: dict[str, Any], pointer: str
) -> None:
    before = await gateway.position()
    node, errors = await write(gateway, verb, kind, **sent)
    assert node is None
    assert [found for found in errors if found == pointer or (pointer and found.startswith(f"{pointer}/"))], errors
    assert await gateway.position() == before


@pytest.mark.parametrize(
    ("mutation", "sent", "named"),
    [
        ("createJob", {"path": f"{JOBS}/j", "spec": {"chunks": "many", "steps": [STEP]}}, "chunks"),
        ("patchJob", {"path": f"{JOBS}/j", "version": "107"}, "version"),
        ("patchJob", {"path": f"{JOBS}/j", "version": True}, "version"),
        ("applyEdgeConfig", {"path": "/config/sites/s/edges/e", "spec": {"drainBy": 5}}, "drainBy"),
        ("applyEdgeConfig", {"path": "/config/sites/s/edges/e", "spec": {"drainBy": "soon"}}, "drainBy"),
    ],
)
async def test_a_value_of_another_type_is_refused_before_anything_is_asked(
    gateway: Gateway, mutation: str, sent: dict[str, Any], named: str
) -> None:
    title = f"{mutation[0].upper()}{mutation[1:]}Input"
    query = f"mutation Do($input: {title}!) {{ {mutation}(input: $input) {{ userErrors {{ pointer }} }} }}"
    answer = await gateway.client.post("/graphql", json={"query": query, "variables": {"input": sent}})
    assert answer.status_code == 400
    assert named in answer.json()["errors"][0]["message"]


async def test_a_dry_run_tells_and_leaves_nothing(gateway: Gateway) -> None:
    before = await gateway.position()
    made, errors = await group(gateway, "create", spec={"description": "d"}, dryRun=True)
    assert not errors
    assert made["spec"] == {"description": "d"}
    assert await gateway.position() == before


async def test_with_its_key_a_mutation_happens_once(gateway: Gateway) -> None:
    first, _ = await group(gateway, "create", spec={"description": "d"}, idempotencyKey="k")
    before = await gateway.position()
    again, errors = await group(gateway, "create", spec={"description": "d"}, idempotencyKey="k")
    assert not errors
    assert again == first
    assert await gateway.position() == before
    node, errors = await group(gateway, "create", spec={"description": "e"}, idempotencyKey="k")
    assert node is None
    assert list(errors) == ["/idempotencyKey"]


async def test_a_patch_is_judged_by_what_was_so_when_it_came_first(gateway: Gateway) -> None:
    made, _ = await group(gateway, "create", labels={"team": "red"})
    sent = {"labels": {"team": "blue"}, "version": made["version"], "idempotencyKey": "p"}
    first, errors = await group(gateway, "patch", **sent)
    assert (first["labels"], errors) == ({"team": "blue"}, {})
    assert await group(gateway, "patch", **sent) == (first, {})


DELETE = """
mutation Delete($path: String!, $version: Long, $dryRun: Boolean! = false) {
  deleteNode(path: $path, version: $version, dryRun: $dryRun) {
    deleted
    node { path }
    effects { deleted waiting unlinked }
    userErrors { pointer }
} }
"""


async def test_a_deletion_says_what_goes(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    await place(gateway.store, await new_job(gateway.store))

    async def delete(**sent: Any) -> Any:
        answer = await gateway.client.post("/graphql", json={"query": DELETE, "variables": sent})
        return answer.json()["data"]["deleteNode"]

    before = await gateway.position()
    path = "/config/job-groups/default"
    would = await delete(path=path, dryRun=True)
    assert not would["deleted"]
    assert would["effects"] == {"deleted": [], "waiting": [path, f"{JOBS}/j"], "unlinked": []}
    assert (await delete(path=path, version=1))["userErrors"] == [{"pointer": "/version"}]
    assert await gateway.position() == before
    done = await delete(path=path)
    assert done["effects"] == would["effects"]
    assert done["node"] == {"path": path}
