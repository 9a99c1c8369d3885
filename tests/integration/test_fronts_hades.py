"""`POST /build` over a real store, with documents as Hades' clients send them."""

import dataclasses
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
from nacl.public import PrivateKey

from datamodel.command import Command, Outcome, Unit
from datamodel.errors import Transient
from datamodel.memory import MemoryStore
from datamodel.postgres.secrets import PostgresRevealing, PostgresSecrets
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.secrets.keyring import Keyring
from datamodel.secrets.memory import MemorySecrets
from datamodel.secrets.ports import SECRETS_LIMIT, Scope
from datamodel.secrets.value import hidden, revealed
from datamodel.seeds import seed
from gateway.app import create_app
from gateway.fronts.keeping import LOOKED_AT
from tests.gateway import BASE_URL, Gateway, open_gateway
from tests.graph import SYSTEM, counted_ids, done, memory_store, present

GROUP = "/config/job-groups/default"
CANARY = "cAnArY-7f3a91"
KEYRING = Keyring([PrivateKey.generate()])

HELLO = {
    "priority": 3,
    "name": "Example Job",
    "metadata": {"GLOBAL": "test"},
    "steps": [{"id": 1, "name": "Hello World", "image": "alpine:latest", "script": "echo 'Hello, Hades!'"}],
}
"""Of docs/api.md of Hades."""
LIMITED: dict[str, Any] = {
    "name": "Resource-Limited Job",
    "metadata": {"GLOBAL": "test"},
    "timestamp": "2021-01-01T00:00:00.000Z",
    "priority": 3,
    "timeout_seconds": 600,
    "callback_url": "http://localhost:8082/adapter/logs",
    "steps": [
        {
            "id": 1,
            "name": "Clone",
            "image": "ghcr.io/hades-scheduler/git-container:1.0.0",
            "metadata": {
                "REPOSITORY_DIR": "/shared",
                "HADES_TEST_USERNAME": "someone",
                "HADES_TEST_PASSWORD": CANARY,
                "HADES_TEST_URL": f"https://someone:{CANARY}@git.example.org/test.git",
            },
        },
        {
            "id": 2,
            "name": "Execute",
            "image": "ls1tum/artemis-maven-template:java17-18",
            "script": "set -e && cd /shared/example && ./gradlew clean test",
            "cpu_limit": 2,
            "memory_limit": "2G",
            "metadata": {"BUILD_ENV": "ci"},
            "network": "none",
            "memory_swap": "2G",
            "pids_limit": 512,
            "continue_on_error": True,
        },
    ],
}
"""Of `bruno/api` of Hades, two of its requests in one."""


@pytest_asyncio.fixture
async def secrets(database_url: str) -> AsyncIterator[PostgresSecrets]:
    async with PostgresSecrets(database_url, KEYRING.seal) as secrets:
        yield secrets


@pytest_asyncio.fixture
async def gateway(database_url: str, secrets: PostgresSecrets) -> AsyncIterator[Gateway]:
    async with PostgresStore(database_url, MODEL) as store, open_gateway(store, secrets=secrets) as gateway:
        yield gateway


async def build(gateway: Gateway, document: dict[str, Any], **headers: str) -> str:
    answer = await gateway.client.post("/build", json=document, headers=headers)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"message", "job_id"}
    assert CANARY not in answer.text
    job_id: str = answer.json()["job_id"]
    assert answer.headers["location"] == f"/v1/jobs/default/{job_id}"
    return job_id


async def kept(gateway: Gateway) -> list[str]:
    return [one["name"] for one in (await gateway.client.get("/v1/secrets/default")).json()["items"]]


async def ended(gateway: Gateway, job_id: str, phase: str) -> None:
    await done(gateway.store, Command("patchStatus", f"{GROUP}/jobs/{job_id}", {"phase": phase}), actor=SYSTEM)


async def test_the_answer_names_a_job_of_ours(gateway: Gateway) -> None:
    job_id = await build(gateway, HELLO)
    assert str(UUID(job_id)) == job_id
    job = (await gateway.client.get(f"/v1/jobs/default/{job_id}")).json()
    (step,) = job["spec"]["steps"]
    assert step["env"] == {"UUID": job_id, "JOB_NAME": "Example Job", "GLOBAL": "test"}
    assert job["status"]["phase"] == "pending"
    assert (await gateway.client.post(f"/v1/jobs/default/{job_id}/abort")).status_code == 202
    assert await kept(gateway) == []


async def test_credentials_reach_the_steps_and_nobody_else(
    gateway: Gateway, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    job_id = await build(gateway, LIMITED)
    job = await gateway.client.get(f"/v1/jobs/default/{job_id}")
    secret = f"hades-{job_id}"
    assert job.json()["spec"]["steps"][0]["secrets"] == [
        {"secret": secret, "key": name, "env": name} for name in ("HADES_TEST_PASSWORD", "HADES_TEST_URL")
    ]
    group = (await gateway.store.nodes([GROUP]))[GROUP]
    async with PostgresRevealing(database_url, KEYRING) as revealing:
        found = (await revealing.reveal(Scope("default", group.uid), [secret]))[secret]
    assert revealed(found) == {
        "HADES_TEST_PASSWORD": CANARY,
        "HADES_TEST_URL": f"https://someone:{CANARY}@git.example.org/test.git",
    }
    path = f"{GROUP}/jobs/{job_id}"
    addresses = ("/v1/jobs", "/jobs", f"/jobs/{job_id}", "/v1/secrets/default", "/openapi.json", f"/v1{path}/history")
    answers = [job.text, *[(await gateway.client.get(address)).text for address in addresses]]
    query = f'{{ node(path: "{path}") {{ ... on Job {{ spec {{ steps {{ env }} annotations }} }} }} }}'
    asked = await gateway.client.post("/graphql", json={"query": query})
    assert "BUILD_ENV" in asked.text
    answers.append(asked.text)
    tables = await everything(database_url)
    assert secret in tables
    logged = capfd.readouterr()
    for text in (*answers, tables, logged.out, logged.err):
        assert CANARY not in text


async def everything(database_url: str) -> str:
    """All rows of all tables, the log among them, as text."""
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
        rows = [row for (name,) in tables for row in await connection.fetch(f'SELECT * FROM "{name}"')]
        return "\n".join(str(dict(row)) for row in rows)
    finally:
        await connection.close()


async def test_two_requests_are_two_jobs_and_one_key_is_one(gateway: Gateway) -> None:
    assert await build(gateway, LIMITED) != await build(gateway, LIMITED)
    assert len(await kept(gateway)) == 2
    first = await build(gateway, LIMITED, **{"Idempotency-Key": "k"})
    position = await gateway.position()
    assert await build(gateway, LIMITED, **{"Idempotency-Key": "k"}) == first
    assert await gateway.position() == position
    assert len(await kept(gateway)) == 3
    other = await gateway.client.post("/build", json={**LIMITED, "name": "another"}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert len(await kept(gateway)) == 3


async def test_a_secret_goes_when_its_job_needs_it_no_more(gateway: Gateway) -> None:
    jobs = {phase: await build(gateway, LIMITED) for phase in ("succeeded", "failed", "aborted", "running")}
    for phase, job_id in jobs.items():
        await ended(gateway, job_id, phase)
    wanted = {f"hades-{jobs[phase]}" for phase in ("failed", "running")}
    new = await build(gateway, LIMITED)
    assert set(await kept(gateway)) == {*wanted, f"hades-{new}"}


async def test_all_secrets_are_looked_at_in_turn(gateway: Gateway) -> None:
    """Those that stay stand in the way of nobody's removal, and the first come after the last."""
    for _ in range(LOOKED_AT + 5):
        await build(gateway, LIMITED)
    names = await kept(gateway)
    for name in (names[0], names[-1]):
        await ended(gateway, name.removeprefix("hades-"), "succeeded")
    for _ in range(3):  # the rest of this turn, and the next one, which takes two
        await build(gateway, LIMITED)
    assert not {names[0], names[-1]} & set(await kept(gateway))


async def test_what_is_refused_leaves_nothing(gateway: Gateway) -> None:
    before = await gateway.position()
    wrong: dict[str, Any] = {**LIMITED, "steps": [{**LIMITED["steps"][0], "image": "a b"}]}
    refused = await gateway.client.post("/build", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/steps/0/image"
    assert CANARY not in refused.text
    assert await kept(gateway) == []
    assert await gateway.position() == before


async def test_a_group_that_is_full_of_secrets_is_a_conflict() -> None:
    """Over the fakes: a thousand of them take a while to write."""
    store, secrets = memory_store(), MemorySecrets()
    await seed(store)
    scope = Scope("default", (await present(store, GROUP)).uid)
    for number in range(SECRETS_LIMIT):
        await secrets.put(scope, f"s{number}", hidden({"value": "x"}))
    async with open_gateway(store, secrets=secrets) as gateway:
        before = await gateway.position()
        assert (await gateway.client.post("/build", json=LIMITED)).status_code == 409
        assert await gateway.position() == before


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("an obsolete field", {"volumes": [{"name": "shared", "emptyDir": {}}]}, "/volumes"),
    ("too few processes", {"steps": [{"image": "i", "pids_limit": 3}]}, "/steps/0/pids_limit"),
    ("too many cores", {"steps": [{"image": "i"}, {"image": "i", "cpu_limit": 5_000}]}, "/steps/1/cpu_limit"),
    ("too much memory", {"steps": [{"image": "i", "memory_limit": "99999999G"}]}, "/steps/0/memory_limit"),
    ("a network that is none", {"steps": [{"image": "i", "network": "container:x"}]}, "/steps/0/network"),
    ("a place that is ours", {"metadata": {"SECRETS_DIR": CANARY}}, "/metadata/SECRETS_DIR"),
    (
        "a place that is ours, in a step",
        {"steps": [{"image": "i", "metadata": {"SECRETS_DIR": CANARY}}]},
        "/steps/0/metadata/SECRETS_DIR",
    ),
    ("a zero byte in a script", {"steps": [{"image": "i", "script": "a\x00"}]}, "/steps/0/script"),
    (
        "too many variables",
        {"steps": [{"image": "i", "metadata": {f"A{n}": "x" for n in range(130)}}]},
        "/steps/0/metadata",
    ),
    (
        "too many credentials",
        {"steps": [{"image": "i", "metadata": {f"KEY{n}": "x" for n in range(33)}}]},
        "/steps/0/metadata",
    ),
    ("too large credentials", {"metadata": {f"KEY{n}": CANARY[:8] * 4_000 for n in range(4)}}, "/metadata/KEY2"),
    ("too large scripts", {"steps": [{"image": "i", "script": "x" * 60_000} for _ in range(3)]}, "/steps"),
]


@pytest.mark.parametrize(("fields", "pointer"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
async def test_the_field_that_was_sent_is_named(gateway: Gateway, fields: dict[str, Any], pointer: str) -> None:
    refused = await gateway.client.post("/build", json={**HELLO, **fields})
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert "/spec" not in refused.text
    assert CANARY not in refused.text
    assert await kept(gateway) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f'{{"name": "{CANARY}"', 400),
        (f'{{"name": "a", "metadata": {{"{CANARY}": "1", "{CANARY}": "2"}}}}', 400),
        (f'["{CANARY}"]', 422),
        (json.dumps({**HELLO, "metadata": {"TOKEN": [CANARY]}}), 422),
        (json.dumps({**HELLO, "metadata": {"TOKEN": f"{CANARY}\0"}}), 422),
        (json.dumps({**HELLO, "timestamp": CANARY}), 422),
        (json.dumps({**HELLO, "callback_url": f"https://u:{CANARY}@h/"}), 422),
        ('{"name": "' + CANARY * 100_000 + '"}', 413),
    ],
)
async def test_what_is_wrong_is_said_without_it(
    gateway: Gateway, body: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await gateway.client.post("/build", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    logged = capfd.readouterr()
    assert CANARY not in answer.text + logged.out + logged.err


async def test_what_is_nested_too_deeply_is_said_to_be(gateway: Gateway) -> None:
    body = '{"name": ' * 70 + f'"{CANARY}"' + "}" * 70
    answer = await gateway.client.post("/build", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "JSON is nested deeper than 64 levels")
    assert CANARY not in answer.text


async def test_only_json_from_this_machine_is_taken(gateway: Gateway) -> None:
    form = await gateway.client.post("/build", data={"name": "a"})
    assert form.status_code == 415
    for headers in ({"host": "example.org"}, {"origin": "http://example.org"}):
        assert (await gateway.client.post("/build", json=HELLO, headers=headers)).status_code == 403
    assert (await gateway.client.get("/build")).status_code == 405


async def test_without_a_key_for_secrets_none_are_taken_in(gateway: Gateway) -> None:
    transport = httpx.ASGITransport(create_app(dataclasses.replace(gateway.backend, secrets=None)))
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        refused = await client.post("/build", json=LIMITED)
        assert refused.status_code == 403
        assert CANARY not in refused.text
        assert (await client.post("/build", json=HELLO)).status_code == 200


async def test_a_crash_leaves_no_value(
    gateway: Gateway, secrets: PostgresSecrets, capfd: pytest.CaptureFixture[str]
) -> None:
    await secrets.__aexit__()
    crashed = await gateway.client.post("/build", json=LIMITED)
    assert crashed.status_code in (500, 503)
    logged = capfd.readouterr()
    assert CANARY not in crashed.text + logged.out + logged.err


class LosingStore(MemoryStore):
    """Its connection breaks while something is written."""

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        await super().append(units)
        raise Transient("the connection broke")


async def test_where_the_outcome_is_unknown_the_secret_stays() -> None:
    store = memory_store()
    await seed(store)
    losing = LosingStore(MODEL, lambda: datetime.now(UTC), counted_ids())
    losing.__dict__.update(store.__dict__)
    async with open_gateway(losing) as gateway:
        assert (await gateway.client.post("/build", json=LIMITED)).status_code == 503
        (job,) = (await gateway.client.get("/v1/jobs")).json()["items"]
        assert await kept(gateway) == [f"hades-{job['metadata']['name']}"]
