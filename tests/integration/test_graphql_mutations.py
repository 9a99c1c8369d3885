"""Mutations: what is wrong with the input is data, and nothing is written then."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import JOBS, SYSTEM, done, new_edge, present

SUBMIT = """
mutation Submit($document: JSON!) { submitJob(document: $document) {
  job { path spec { chunks } status { phase chunks { pending } } }
  userErrors { pointer message }
} }
"""
CREATE = """
mutation Create($path: String!) { createJobGroup(input: {path: $path, spec: {description: "d"}}) {
  jobGroup { path spec { description } }
  userErrors { pointer message }
} }
"""
DELETE = """
mutation Delete($path: String!) { deleteNode(path: $path) {
  deleted
  node { path deletionRequestedAt }
  userErrors { pointer message }
} }
"""


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway


async def mutate(gateway: Gateway, mutation: str, **variables: Any) -> dict[str, Any]:
    """The payload of the one mutation."""
    answer = await gateway.client.post("/graphql", json={"query": mutation, "variables": variables})
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    (payload,) = answer.json()["data"].values()
    return dict(payload)


async def test_a_job_is_submitted(gateway: Gateway) -> None:
    payload = await mutate(gateway, SUBMIT, document={"name": "j", "chunks": 3, "steps": [STEP]})
    assert payload["userErrors"] == []
    status = {"phase": "pending", "chunks": {"pending": 3}}
    assert payload["job"] == {"path": f"{JOBS}/j", "spec": {"chunks": 3}, "status": status}
    assert (await present(gateway.store, f"{JOBS}/j")).spec["steps"][0]["image"] == "busybox"


async def test_with_its_key_a_job_is_submitted_once(gateway: Gateway) -> None:
    submit = SUBMIT.replace("$document: JSON!", "$document: JSON!, $key: String").replace(
        "document: $document", "document: $document, idempotencyKey: $key"
    )
    document = {"steps": [STEP]}
    first = await mutate(gateway, submit, document=document, key="k")
    before = await gateway.position()
    assert await mutate(gateway, submit, document=document, key="k") == first
    other = await mutate(gateway, submit, document={**document, "chunks": 2}, key="k")
    assert [error["pointer"] for error in other["userErrors"]] == ["/idempotencyKey"]
    assert await gateway.position() == before


async def test_with_its_key_a_node_is_deleted_once(gateway: Gateway) -> None:
    delete = """mutation Delete($path: String!) { deleteNode(path: $path, idempotencyKey: "k") {
      deleted effects { deleted } node { path } userErrors { pointer } } }"""
    path = "/config/job-groups/g"
    await mutate(gateway, CREATE, path=path)
    first = await mutate(gateway, delete, path=path)
    assert first == {"deleted": True, "effects": {"deleted": [path]}, "node": None, "userErrors": []}
    await mutate(gateway, CREATE, path=path)
    assert await mutate(gateway, delete, path=path) == {**first, "effects": None}
    assert (await present(gateway.store, path)).path == path
    other = await mutate(gateway, delete, path=f"{path}2")
    assert [error["pointer"] for error in other["userErrors"]] == ["/idempotencyKey"]


async def test_a_key_in_a_header_is_refused(gateway: Gateway) -> None:
    query = {"query": CREATE, "variables": {"path": "/config/job-groups/g"}}
    answer = await gateway.client.post("/graphql", json=query, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "Idempotency-Key"


async def test_what_is_wrong_with_a_job_is_named(gateway: Gateway) -> None:
    before = await gateway.position()
    for document, pointer in (
        ({"steps": [{"name": "run"}]}, "/steps/0/image"),
        ({"steps": [STEP], "group": "absent"}, "/group"),
        ({"steps": [STEP], "name": "A"}, "/name"),
        ([], ""),
    ):
        payload = await mutate(gateway, SUBMIT, document=document)
        assert payload["job"] is None
        assert payload["userErrors"][0]["pointer"] == pointer
    assert await gateway.position() == before


async def test_a_group_is_created_once(gateway: Gateway) -> None:
    payload = await mutate(gateway, CREATE, path="/config/job-groups/g")
    assert payload["jobGroup"] == {"path": "/config/job-groups/g", "spec": {"description": "d"}}
    again = await mutate(gateway, CREATE, path="/config/job-groups/g")
    assert again["jobGroup"] is None
    assert again["userErrors"][0]["pointer"] == "/path"


async def test_a_node_is_deleted_or_shown_while_it_is_finalized(gateway: Gateway) -> None:
    await mutate(gateway, CREATE, path="/config/job-groups/g")
    assert await mutate(gateway, DELETE, path="/config/job-groups/g") == {
        "deleted": True,
        "node": None,
        "userErrors": [],
    }
    await mutate(gateway, SUBMIT, document={"name": "j", "steps": [STEP]})
    going = await mutate(gateway, DELETE, path=f"{JOBS}/j")
    assert not going["deleted"]
    assert going["node"]["deletionRequestedAt"] is not None


async def test_what_users_may_not_delete_stays(gateway: Gateway) -> None:
    before = await gateway.position()
    for path in ("/config", "/config/scheduler", "/inventory", "/config/job-groups/absent", "/odd", "odd", ""):
        payload = await mutate(gateway, DELETE, path=path)
        assert not payload["deleted"]
        assert [error["pointer"] for error in payload["userErrors"]] == ["/path"]
    assert await gateway.position() == before


VERB = """
mutation Do($group: String!, $name: String!) { %sJob(group: $group, name: $name) {
  job { spec { intent } }
  userErrors { pointer message }
} }
"""


async def test_a_job_is_suspended_resumed_and_aborted(gateway: Gateway) -> None:
    await mutate(gateway, SUBMIT, document={"name": "j", "steps": [STEP]})
    for verb, intent in (("suspend", "suspend"), ("resume", "run"), ("abort", "abort")):
        payload = await mutate(gateway, VERB % verb, group="default", name="j")
        assert payload == {"job": {"spec": {"intent": intent}}, "userErrors": []}
    refused = await mutate(gateway, VERB % "retry", group="default", name="j")
    assert refused["job"] is None
    assert [error["pointer"] for error in refused["userErrors"]] == ["/name"]
    late = await mutate(gateway, VERB % "resume", group="default", name="j")
    assert [error["pointer"] for error in late["userErrors"]] == ["/name"]
    absent = await mutate(gateway, VERB % "abort", group="default", name="absent")
    assert [error["pointer"] for error in absent["userErrors"]] == ["/name"]
    unknown = await mutate(gateway, VERB % "abort", group="default", name="Not A Name")
    assert [error["pointer"] for error in unknown["userErrors"]] == ["/name"]


async def test_with_its_key_a_verb_is_done_once(gateway: Gateway) -> None:
    await mutate(gateway, SUBMIT, document={"name": "j", "steps": [STEP]})
    await done(gateway.store, Command("patchStatus", f"{JOBS}/j", {"phase": "failed"}), actor=SYSTEM)
    retry = """mutation { retryJob(group: "default", name: "j", idempotencyKey: "k") {
      job { spec { retries } } userErrors { pointer } } }"""
    first = await mutate(gateway, retry)
    before = await gateway.position()
    assert await mutate(gateway, retry) == first
    assert await gateway.position() == before
    other = await mutate(gateway, retry.replace('"j"', '"i"'))
    assert [error["pointer"] for error in other["userErrors"]] == ["/idempotencyKey"]


async def test_with_its_key_an_edge_is_drained_once(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    drain = """mutation { drainEdge(site: "s", edge: "e", graceS: 60, idempotencyKey: "k") {
      edgeConfig { spec { drainBy } } userErrors { pointer } } }"""
    first = await mutate(gateway, drain)
    assert await mutate(gateway, drain) == first
    other = await mutate(gateway, drain.replace("60", "61"))
    assert [error["pointer"] for error in other["userErrors"]] == ["/idempotencyKey"]


EDGE = """
mutation Do($site: String!, $edge: String!) { %sEdge(site: $site, edge: $edge %s) {
  edgeConfig { spec { intent drainBy } }
  userErrors { pointer message }
} }
"""


async def test_an_edge_is_cordoned_drained_and_used_again(gateway: Gateway) -> None:
    await new_edge(gateway.store)
    for verb, intent in (("cordon", "cordon"), ("drain", "drain"), ("uncordon", "use")):
        payload = await mutate(gateway, EDGE % (verb, ""), site="s", edge="e")
        assert payload == {"edgeConfig": {"spec": {"intent": intent, "drainBy": None}}, "userErrors": []}
    patient = await mutate(gateway, EDGE % ("drain", ", graceS: 60"), site="s", edge="e")
    assert patient["edgeConfig"]["spec"]["drainBy"]
    unknown = await mutate(gateway, EDGE % ("cordon", ""), site="s", edge="none")
    assert unknown["edgeConfig"] is None
    assert [error["pointer"] for error in unknown["userErrors"]] == ["/edge"]
    hasty = await mutate(gateway, EDGE % ("drain", ", graceS: -1"), site="s", edge="e")
    assert [error["pointer"] for error in hasty["userErrors"]] == ["/graceS"]
