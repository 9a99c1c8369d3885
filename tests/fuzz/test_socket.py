"""`/graphql` as a websocket: whatever is sent, each message is answered in the protocol or ends the connection by its codes."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.fuzz.budget import budget
from tests.fuzz.documents import anything
from tests.gateway import Gateway, fake_gateway

BEGIN = b'{"type": "connection_init"}'
LAST = b'{"type": "ping", "payload": {"last": true}}'
TYPES = {"connection_ack", "ping", "pong", "next", "error", "complete"}
CODES = {4400, 4401, 4409, 4429}
QUERIES = [
    "{ __typename }",
    "subscription { jobs { what node { path } bookmark } }",
    'subscription Watch($after: String = "odd") { jobs(after: $after) { what } }',
    'mutation { deleteNode(path: "/config") { deleted } }',
    "subscription {",
    "{ absent }",
]

_names = st.sampled_from(["1", "2", ""])
_messages = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["connection_init", "ping", "pong", "complete", "odd"]), "id": _names}
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("subscribe"),
            "id": _names,
            "payload": st.fixed_dictionaries(
                {"query": st.sampled_from(QUERIES)},
                optional={
                    "variables": st.dictionaries(st.just("after"), st.sampled_from(["", "x", None, 1])),
                    "operationName": st.sampled_from(["Watch", "Other", "é" * 200, None]),
                },
            ),
        }
    ),
)


@pytest_asyncio.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with fake_gateway() as gateway:
        yield gateway


@budget(100)
@given(texts=st.lists(anything(_messages), max_size=6), begun=st.booleans())
@example(texts=[b"[" * 100_000 + b"]" * 100_000], begun=True)
async def test_a_connection_keeps_to_its_protocol(gateway: Gateway, texts: list[bytes], begun: bool) -> None:  # noqa: FBT001 - an example's
    with capture_logs() as logged:
        sent = await talk(gateway, [*([BEGIN] if begun else ()), *texts, LAST])
    assert sent[0]["type"] == "websocket.accept"
    for message in sent[1:]:
        if message["type"] == "websocket.close":
            assert message["code"] in CODES
            assert len(message["reason"].encode()) <= 123
        else:
            assert json.loads(message["text"])["type"] in TYPES
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def talk(gateway: Gateway, texts: list[bytes]) -> list[dict[str, Any]]:
    """What is sent while a client says these texts and then goes, once the last one is answered or the connection is over."""
    sent: list[dict[str, Any]] = []
    over = asyncio.Event()
    said = iter(texts)

    async def receive() -> dict[str, Any]:
        if not sent:
            return {"type": "websocket.connect"}
        if (text := next(said, None)) is not None:
            return {"type": "websocket.receive", "text": text.decode(errors="replace")}
        async with asyncio.timeout(30):
            await over.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))
        if message["type"] == "websocket.close" or message.get("text") == '{"type":"pong"}':
            over.set()

    headers = [(b"host", b"127.0.0.1"), (b"sec-websocket-protocol", b"graphql-transport-ws")]
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "scheme": "ws",
        "query_string": b"",
        "headers": headers,
        "subprotocols": ["graphql-transport-ws"],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "extensions": {},
    }
    await gateway.app(scope, receive, send)
    return sent
