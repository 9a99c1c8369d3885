"""The verbs of secrets over a real store: values go in, and nothing that is answered or logged has one."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from nacl.public import PrivateKey

from datamodel.postgres.secrets import PostgresRevealing, PostgresSecrets
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.secrets.keyring import Keyring
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import revealed
from tests.gateway import STEP, Gateway, open_gateway

URL = "/v1/secrets/default"
GROUP = "/config/job-groups/default"
CANARY = "cAnArY-7f3a91"
KEYRING = Keyring([PrivateKey.generate()])


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with (
        PostgresStore(database_url, MODEL) as store,
        PostgresSecrets(database_url, KEYRING.seal) as secrets,
        open_gateway(store, secrets=secrets) as gateway,
    ):
        yield gateway


def job(**use: Any) -> dict[str, Any]:
    return {"name": "j", "steps": [{**STEP, "secrets": [{"secret": "database", "env": "PASSWORD", **use}]}]}


async def test_a_secret_is_put_and_listed_and_never_answered(gateway: Gateway, database_url: str) -> None:
    put = await gateway.client.put(f"{URL}/database", json={"value": CANARY})
    assert put.status_code == 200
    assert {**put.json(), "createdAt": "", "updatedAt": ""} == {
        "name": "database",
        "version": 1,
        "createdAt": "",
        "updatedAt": "",
        "keys": ["value"],
    }
    listed = await gateway.client.get(URL)
    assert listed.json() == {"items": [put.json()], "cursor": None}
    assert CANARY not in put.text + listed.text
    assert (await gateway.client.get(f"{URL}/database")).status_code == 405
    group = (await gateway.store.nodes([GROUP]))[GROUP]
    async with PostgresRevealing(database_url, KEYRING) as revealing:
        scope = Scope("default", group.uid)
        assert revealed((await revealing.reveal(scope, ["database"]))["database"]) == {"value": CANARY}


async def test_a_list_has_pages(gateway: Gateway) -> None:
    for name in ("b", "a", "c"):
        await gateway.client.put(f"{URL}/{name}", json={"data": {"k": CANARY}})
    first = (await gateway.client.get(URL, params={"limit": 2})).json()
    second = (await gateway.client.get(URL, params={"limit": 2, "cursor": first["cursor"]})).json()
    assert [one["name"] for one in (*first["items"], *second["items"])] == ["a", "b", "c"]
    assert second["cursor"] is None
    for wrong in ({"limit": "0"}, {"cursor": "?"}, {"other": "1"}):
        assert (await gateway.client.get(URL, params=wrong)).status_code == 422


async def test_a_deleted_one_is_gone(gateway: Gateway) -> None:
    await gateway.client.put(f"{URL}/database", json={"value": CANARY})
    assert (await gateway.client.delete(f"{URL}/database")).status_code == 204
    assert (await gateway.client.delete(f"{URL}/database")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps({"value": [CANARY]}), 422),
        (json.dumps({"value": {CANARY: 1}}), 422),
        (json.dumps({"value": CANARY, "data": {"a": CANARY}}), 422),
        (json.dumps({"data": {f"{CANARY} {CANARY}": CANARY}}), 422),
        (json.dumps({"data": CANARY}), 422),
        (json.dumps({"data": {"a": CANARY, "b": ""}}), 422),
        (json.dumps({CANARY: CANARY}), 422),
        (json.dumps({"value": f"{CANARY}\0"}), 422),
        (json.dumps({"value": CANARY * 10_000}), 422),
        (json.dumps({"value": CANARY * 100_000}), 413),
        (json.dumps([CANARY]), 422),
        (f'{{"value": "{CANARY}"', 400),
        (f'{{"value": "{CANARY}\\ud800"}}', 400),
        (f'{{"{CANARY}": 1, "{CANARY}": 2}}', 400),
        (f'{CANARY} {{"value": "{CANARY}"}}', 400),
    ],
)
async def test_what_is_wrong_with_a_value_is_said_without_it(
    gateway: Gateway, body: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await gateway.client.put(f"{URL}/a", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert CANARY not in answer.text
    assert (await gateway.client.get(URL)).json()["items"] == []
    logged = capfd.readouterr()
    assert CANARY not in logged.out + logged.err


async def test_a_group_or_name_that_is_none_is_not_found(gateway: Gateway) -> None:
    for url in ("/v1/secrets/nobody/a", "/v1/secrets/default/A_B", "/v1/secrets/-/a"):
        assert (await gateway.client.put(url, json={"value": CANARY})).status_code == 404


async def test_a_request_that_crashes_leaves_no_value(
    database_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        PostgresStore(database_url, MODEL) as store,
        PostgresSecrets(database_url, KEYRING.seal) as secrets,
        open_gateway(store, secrets=secrets) as gateway,
    ):
        await secrets.__aexit__()
        crashed = await gateway.client.put(f"{URL}/a", json={"value": CANARY})
        assert crashed.status_code in (500, 503)
    logged = capfd.readouterr()
    assert CANARY not in crashed.text + logged.out + logged.err


async def test_a_job_may_use_what_its_group_has(gateway: Gateway) -> None:
    await gateway.client.put(f"{URL}/database", json={"value": CANARY})
    accepted = await gateway.client.post("/v1/jobs", json=job())
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["spec"]["steps"][0]["secrets"] == [{"secret": "database", "key": "value", "env": "PASSWORD"}]


@pytest.mark.parametrize(
    ("use", "pointer"),
    [
        ({"secret": "another"}, "/steps/0/secrets/0/secret"),
        ({"key": "password"}, "/steps/0/secrets/0/key"),
        ({"file": "password"}, "/steps/0/secrets/0"),
        ({"env": "CHUNK_INDEX"}, "/steps/0/secrets/0"),
        ({"env": None}, "/steps/0/secrets/0"),
        ({"env": None, "file": "../passwd"}, "/steps/0/secrets/0/file"),
    ],
)
async def test_a_job_is_refused_what_it_cannot_have(gateway: Gateway, use: dict[str, Any], pointer: str) -> None:
    await gateway.client.put(f"{URL}/database", json={"value": CANARY})
    refused = await gateway.client.post("/v1/jobs", json=job(**use))
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer
    batch = await gateway.client.post("/v1/jobs:batch", json={"jobs": [job(**use)]})
    assert batch.json()["errors"][0]["pointer"] == f"/jobs/0{pointer}"


async def test_a_group_that_is_made_again_has_none_of_the_secrets(gateway: Gateway) -> None:
    nodes = "/v1/config/job-groups"
    made = {"metadata": {"name": "g"}, "spec": {}}
    assert (await gateway.client.post(nodes, json=made)).status_code == 201
    await gateway.client.put("/v1/secrets/g/a", json={"value": CANARY})
    await gateway.client.delete(f"{nodes}/g")
    assert (await gateway.client.get("/v1/secrets/g")).status_code == 404
    assert (await gateway.client.post(nodes, json=made)).status_code == 201
    assert (await gateway.client.get("/v1/secrets/g")).json()["items"] == []


@pytest.mark.parametrize(
    ("use", "pointer"),
    [({"secret": "another"}, "/callbacks/0/secret"), ({"secret": "database", "key": "other"}, "/callbacks/0/key")],
)
async def test_a_callback_is_signed_by_what_its_group_has(gateway: Gateway, use: dict[str, Any], pointer: str) -> None:
    await gateway.client.put(f"{URL}/database", json={"value": CANARY})
    steps = [{"name": "s", "image": "i", "script": "true"}]
    refused = await gateway.client.post("/v1/jobs", json={"steps": steps, "callbacks": [{"url": "https://h/", **use}]})
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer
    kept = {"url": "https://h/", "secret": "database"}
    accepted = await gateway.client.post("/v1/jobs", json={"steps": steps, "callbacks": [kept]})
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["spec"]["callbacks"] == [{**kept, "on": ["succeeded", "failed", "aborted"]}]
