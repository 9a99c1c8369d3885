"""Bad input: a problem document that names the field, and nothing written."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.steps import STEPS_BYTES
from tests.databases import Databases
from tests.gateway import STEP, Gateway, open_gateway

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module")
async def gateway(databases: Databases) -> AsyncIterator[Gateway]:
    """One for all: what is refused leaves nothing behind."""
    url = await databases.create()
    async with PostgresStore(url, MODEL) as store, open_gateway(store) as gateway:
        yield gateway
    await databases.drop(url)


def job(**fields: Any) -> dict[str, Any]:
    return {"name": "j", "steps": [STEP], **fields}


def nested(levels: int) -> bytes:
    return b'{"name":' + b"[" * levels + b"]" * levels + b"}"


DOCUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown field", job(colour="red"), "/colour"),
    ("an unknown field of a step", job(steps=[{**STEP, "colour": 1}]), "/steps/0/colour"),
    ("a wrong type", job(chunks="3"), "/chunks"),
    ("a fraction of a chunk", job(chunks=1.5), "/chunks"),
    ("no chunks", job(chunks=0), "/chunks"),
    ("too many chunks", job(chunks=1_000_001), "/chunks"),
    ("an absurd number", job(chunks=10**300), "/chunks"),
    ("no steps", job(steps=[]), "/steps"),
    ("a field as Python has it", job(work_ws=1.0), "/work_ws"),
    ("steps missing", {"name": "j"}, "/steps"),
    ("steps of another type", job(steps={"0": STEP}), "/steps"),
    ("a step without an image", job(steps=[{"name": "run"}]), "/steps/0/image"),
    ("two steps of one name", job(steps=[STEP, STEP]), "/steps"),
    ("a step's name", job(steps=[{**STEP, "name": "A b"}]), "/steps/0/name"),
    ("a zero byte", job(steps=[{**STEP, "script": "a\x00b"}]), "/steps/0/script"),
    ("a variable's name", job(steps=[{**STEP, "env": {"1x": "y"}}]), "/steps/0/env/1x"),
    ("an annotation's name", job(annotations={"a/b/c": "y"}), "/annotations/a~1b~1c"),
    ("a script and a command", job(steps=[{**STEP, "command": ["true"]}]), "/steps/0"),
    ("a policy that is none", job(steps=[{**STEP, "pullPolicy": "always"}]), "/steps/0/pullPolicy"),
    ("an image with half a digest", job(steps=[{**STEP, "image": "i@sha256:abc"}]), "/steps/0/image"),
    ("an empty shell", job(steps=[{**STEP, "shell": []}]), "/steps/0/shell"),
    ("a shell without a script", job(steps=[{"name": "run", "image": "i", "shell": ["/bin/sh"]}]), "/steps/0"),
    ("a user by name", job(steps=[{**STEP, "user": "root"}]), "/steps/0/user"),
    ("a root that is half read-only", job(steps=[{**STEP, "readOnlyRoot": 1}]), "/steps/0/readOnlyRoot"),
    ("a network that is a container's", job(network="container:x"), "/network"),
    ("too few processes", job(limits={"pids": 1}), "/limits/pids"),
    ("no time", job(limits={"timeoutS": 0}), "/limits/timeoutS"),
    ("negative swap", job(limits={"swapBytes": -1}), "/limits/swapBytes"),
    ("a limit that is none", job(limits={"colour": 1}), "/limits/colour"),
    ("no GPUs", job(requests={"gpus": {"count": 0}}), "/requests/gpus/count"),
    ("zero cpu", job(requests={"cpu": 0}), "/requests/cpu"),
    ("negative memory", job(requests={"memoryBytes": -1}), "/requests/memoryBytes"),
    ("negative power", job(requests={"powerW": -0.5}), "/requests/powerW"),
    ("negative retries", job(retries=-1), "/retries"),
    ("a reduction that is none", job(outputs={"x": "average"}), "/outputs/x"),
    ("a name with capitals", job(name="Abc"), "/name"),
    ("a name that is too long", job(name="a" * 64), "/name"),
    ("an empty name", job(name=""), "/name"),
    ("a name with a line break", job(name="a\n"), "/name"),
    ("a name of another type", job(name=7), "/name"),
    ("a group of another type", job(group=["default"]), "/group"),
    ("a group that is no name", job(group="a/b"), "/group"),
    ("labels of another type", job(labels=[]), "/labels"),
    ("a label that is no string", job(labels={"a": 1}), "/labels/a"),
    ("a label's key", job(labels={"a b/c": "x"}), "/labels/a b~1c"),
    ("a label's value", job(labels={"a": "\x00"}), "/labels/a"),
]


async def test_what_is_wrong_within_steps_is_all_that_is_told(gateway: Gateway) -> None:
    answer = await gateway.client.post("/v1/jobs", json=job(steps=[{"name": "run"}]))
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/steps/0/image"]


async def test_half_a_surrogate_pair_is_told_as_that(gateway: Gateway) -> None:
    for body in (rb'{"name": "\ud800', rb'{"name": "\ud800"}', rb'{"name": "\udc00 "}'):
        answer = await gateway.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert ("half of a surrogate pair" in answer.json()["detail"]) == body.endswith(b"}")


@pytest.mark.parametrize(("document", "pointer"), [d[1:] for d in DOCUMENTS], ids=[d[0] for d in DOCUMENTS])
async def test_the_field_is_named_and_nothing_is_written(
    gateway: Gateway, document: dict[str, Any], pointer: str
) -> None:
    before = await gateway.position()
    answer = await gateway.client.post("/v1/jobs", json=document)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["instance"] == "/v1/jobs"
    assert problem["detail"].startswith(f"{pointer}: ")
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert await gateway.position() == before


BODIES: list[tuple[str, bytes, int]] = [
    ("no body", b"", 400),
    ("half a document", b'{"name":', 400),
    ("NaN", b'{"chunks":NaN}', 400),
    ("a number out of range", b'{"chunks":1e999}', 400),
    ("bytes that are no UTF-8", b'{"name":"\xff"}', 400),
    ("half a surrogate pair", b'{"name":"\\ud800"}', 400),
    ("a member twice", b'{"name":"a","name":"b"}', 400),
    ("a member twice, deep inside", b'{"steps":[{"name":"a","name":"b"}]}', 400),
    ("65 levels", nested(65), 400),
    ("100,000 levels", nested(100_000), 400),
    ("a list", b"[]", 422),
    ("a text", b'"a"', 422),
    ("null", b"null", 422),
    ("too large", b'{"name":"' + b"a" * 1024 * 1024 + b'"}', 413),
]


@pytest.mark.parametrize(("body", "status"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
async def test_a_body_that_is_no_document_is_refused(gateway: Gateway, body: bytes, status: int) -> None:
    before = await gateway.position()
    answer = await gateway.client.post("/v1/jobs", content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await gateway.position() == before


async def test_a_body_is_bounded_while_it_is_read(gateway: Gateway) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    answer = await gateway.client.post("/v1/jobs", content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert sent <= 17


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
async def test_only_plain_json_is_taken(gateway: Gateway, headers: dict[str, str]) -> None:
    answer = await gateway.client.post("/v1/jobs", content=json.dumps(job()).encode(), headers=headers)
    assert answer.status_code == 415
    assert (await gateway.client.get("/v1/jobs/default/j")).status_code == 404


async def test_a_node_is_bounded(gateway: Gateway) -> None:
    steps = [{"name": f"s{n}", "image": "i", "script": "x" * 60_000} for n in range(5)]
    before = await gateway.position()
    answer = await gateway.client.post("/v1/jobs", json=job(steps=steps))
    assert answer.status_code == 422
    assert str(STEPS_BYTES) in answer.json()["detail"]
    assert await gateway.position() == before


async def test_a_taken_name_is_a_conflict(gateway: Gateway) -> None:
    assert (await gateway.client.post("/v1/jobs", json=job(name="taken"))).status_code == 202
    before = await gateway.position()
    answer = await gateway.client.post("/v1/jobs", json=job(name="taken"))
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["pointer"] == "/name"
    assert await gateway.position() == before


async def test_a_group_that_does_not_exist_is_not_found(gateway: Gateway) -> None:
    before = await gateway.position()
    answer = await gateway.client.post("/v1/jobs", json=job(group="nowhere"))
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["pointer"] == "/group"
    assert await gateway.position() == before


async def test_text_that_json_has_to_escape_comes_back_as_it_was(gateway: Gateway) -> None:
    script = 'echo "\\"; # \u2028 \U0001f600 \x7f'
    answer = await gateway.client.post("/v1/jobs", json=job(name="escaped", steps=[{**STEP, "script": script}]))
    assert answer.json()["spec"]["steps"][0]["script"] == script
