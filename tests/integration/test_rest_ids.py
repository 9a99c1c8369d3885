"""Every request has an id, by which the answer, the problem and the log speak of it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.types import Receive, Scope, Send

from datamodel.cause import CORRELATION_LIMIT
from datamodel.event import Event
from datamodel.memory import MemoryStore
from datamodel.seeds import seed
from gateway.identified import Identified
from gateway.masking import Masked
from tests.gateway import STEP, Gateway, open_gateway
from tests.graph import memory_store

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    store: MemoryStore = memory_store()
    await seed(store)
    async with open_gateway(store) as gateway:
        yield gateway


async def submitted(gateway: Gateway, headers: dict[str, str], name: str = "j") -> tuple[httpx.Response, Event]:
    before = await gateway.position()
    answer = await gateway.client.post("/v1/jobs", json={"name": name, "steps": [STEP]}, headers=headers)
    assert answer.status_code == 202
    (event,) = await gateway.store.events(before, 10)
    return answer, event


@pytest.mark.parametrize(
    ("headers", "own", "correlation"),
    [
        ({"X-Request-Id": "a-1"}, "a-1", "a-1"),
        ({"X-Request-Id": "a-1", "X-Correlation-Id": "order/17:b"}, "a-1", "order/17:b"),
        ({"traceparent": PARENT}, PARENT, TRACE),
        ({"traceparent": PARENT, "X-Request-Id": "a-1"}, "a-1", TRACE),
        ({"traceparent": PARENT, "X-Correlation-Id": "c"}, PARENT, "c"),
        ({"X-Request-Id": PARENT}, PARENT, PARENT),
        ({"X-Request-Id": "x" * CORRELATION_LIMIT}, "x" * CORRELATION_LIMIT, "x" * CORRELATION_LIMIT),
    ],
)
async def test_well_formed_ids_are_taken_over(
    gateway: Gateway, headers: dict[str, str], own: str, correlation: str
) -> None:
    answer, event = await submitted(gateway, headers)
    assert answer.headers.get_list("X-Request-Id") == [own]
    assert (event.cause, event.correlation) == (f"request:{own}", correlation)


@pytest.mark.parametrize(
    "malformed",
    [
        *("", " ", "a b", "-a", "a\tb", "é", "a,b", '"a"', "{}", "\x7f", "x" * (CORRELATION_LIMIT + 1)),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
    ],
)
async def test_others_are_left_aside(gateway: Gateway, malformed: str) -> None:
    trace = malformed if malformed.startswith("00-") else f"{PARENT}-more"
    headers: Any = {"traceparent": trace.encode()}
    if not malformed.startswith("00-"):
        headers |= {"X-Request-Id": malformed.encode("latin-1"), "X-Correlation-Id": malformed.encode("latin-1")}
    answer, event = await submitted(gateway, headers)
    own = answer.headers["X-Request-Id"]
    assert len(own) == 32
    assert own.isalnum()
    assert (event.cause, event.correlation) == (f"request:{own}", own)


async def test_requests_have_ids_of_their_own(gateway: Gateway) -> None:
    answers = [(await submitted(gateway, {}, name))[0] for name in ("a", "b")]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 2


async def test_problems_and_refusals_tell_the_id(gateway: Gateway) -> None:
    for method, url, headers, status in (
        ("GET", "/v1/jobs/default/none", {}, 404),
        ("GET", "/none", {}, 404),
        ("PATCH", "/v1/jobs", {}, 405),
        ("POST", "/v1/jobs", {"Content-Type": "application/json"}, 400),
        ("GET", "/v1/jobs", {"Host": "elsewhere"}, 403),
    ):
        answer = await gateway.client.request(method, url, headers={**headers, "X-Request-Id": "night-1"})
        assert answer.status_code == status
        assert answer.headers["X-Request-Id"] == "night-1"
        assert answer.json()["requestId"] == "night-1"


async def test_what_crashes_tells_the_id_too() -> None:
    async def crash(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a bug")

    transport = httpx.ASGITransport(Identified(Masked(crash)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/", headers={"X-Request-Id": "night-2"})
    assert (answer.status_code, answer.json()["requestId"]) == (500, "night-2")


async def test_mutations_are_requests_too(gateway: Gateway) -> None:
    before = await gateway.position()
    query = "mutation($job: JSON!) { submitJob(document: $job) { job { name } userErrors { message } } }"
    document = {"query": query, "variables": {"job": {"name": "g", "steps": [STEP]}}}
    answer = await gateway.client.post("/graphql", json=document, headers={"X-Request-Id": "q-1"})
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    (event,) = await gateway.store.events(before, 10)
    assert (event.cause, event.correlation) == ("request:q-1", "q-1")
