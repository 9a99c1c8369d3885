"""Subscriptions over `graphql-transport-ws`, on a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from gateway.backend import Backend
from gateway.graphql.socket import OPERATIONS_LIMIT
from gateway.rest.body import LIMIT_BYTES
from gateway.server import SHUTDOWN_TIMEOUT_S, Server
from tests.gateway import Gateway, open_gateway, serving
from tests.graph import JOBS, SYSTEM, done, new_edge, new_job, place

PROTOCOL = Subprotocol("graphql-transport-ws")
GROUPS = """subscription Watch($after: String, $where: JobGroupWhere, $asOf: Moment) {
  jobGroups(after: $after, where: $where, asOf: $asOf) { what node { name spec { description } } bookmark position }
}"""


@dataclass
class Line:
    """One connection, as a client has it."""

    socket: ClientConnection

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def heard(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(30):
            return dict(json.loads(await self.socket.recv()))

    async def begin(self) -> None:
        await self.send(type="connection_init")
        assert await self.heard() == {"type": "connection_ack"}

    async def subscribe(self, query: str, name: str = "1", **variables: Any) -> None:
        await self.send(type="subscribe", id=name, payload={"query": query, "variables": variables})

    async def next(self, name: str = "1") -> Any:
        """What the one field of an operation's next result is."""
        message = await self.heard()
        assert (message["type"], message["id"]) == ("next", name), message
        assert "errors" not in message["payload"], message
        (found,) = message["payload"]["data"].values()
        return found

    async def until_bookmark(self, name: str = "1") -> tuple[list[tuple[str, str]], str]:
        """What is seen until all has been told, and the bookmark."""
        seen = []
        while (found := await self.next(name))["what"] != "bookmark":
            seen.append((found["what"], found["node"]["name"]))
        return sorted(seen), found["bookmark"]

    async def closed(self) -> tuple[int, str]:
        """The code and reason with which the other side closes."""
        with pytest.raises(ConnectionClosed) as closed:
            await self.heard()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason


@dataclass
class Served:
    gateway: Gateway
    server: Server
    address: str

    @asynccontextmanager
    async def line(self, *, begun: bool = True, **given: Any) -> AsyncIterator[Line]:
        async with connect(self.address, subprotocols=[PROTOCOL], proxy=None, **given) as socket:
            line = Line(socket)
            if begun:
                await line.begin()
            yield line


@pytest_asyncio.fixture
async def served(database_url: str) -> AsyncIterator[Served]:
    async with (
        PostgresStore(database_url, MODEL) as store,
        open_gateway(store) as gateway,
        serving(gateway) as (server, client),
    ):
        yield Served(gateway, server, f"ws://{client.base_url.host}:{client.base_url.port}/graphql")


async def new_group(served: Served, name: str, **labels: str) -> None:
    await done(served.gateway.store, Command("create", f"/config/job-groups/{name}", {}, labels))


async def test_what_there_is_comes_first_and_then_what_changes(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(GROUPS)
        assert (await line.until_bookmark())[0] == [("added", "default")]
        await new_group(served, "g")
        assert (await line.until_bookmark())[0] == [("added", "g")]
        await done(served.gateway.store, Command("patchSpec", "/config/job-groups/g", {"description": "d"}))
        changed = await line.next()
        assert changed["what"] == "modified"
        assert changed["node"] == {"name": "g", "spec": {"description": "d"}}
        assert (await line.next())["position"] == await served.gateway.position()
        await done(served.gateway.store, Command("delete", "/config/job-groups/g"))
        gone = await line.next()
        assert (gone["what"], gone["node"]["spec"]) == ("deleted", {"description": "d"})


async def test_a_bookmark_goes_on_where_a_connection_ended(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(GROUPS)
        _, bookmark = await line.until_bookmark()
    await new_group(served, "g")
    await new_group(served, "h")
    async with served.line() as line:
        await line.subscribe(GROUPS, after=bookmark)
        assert (await line.until_bookmark())[0] == [("added", "g"), ("added", "h")]
        await line.subscribe(GROUPS, "2", asOf=str(await served.gateway.position() - 1))
        assert (await line.until_bookmark("2"))[0] == [("added", "h")]


async def test_only_what_is_meant_is_told(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(GROUPS, where={"labels": "team=red"})
        assert (await line.until_bookmark())[0] == []
        await new_group(served, "blue", team="blue")
        await new_group(served, "red", team="red")
        seen: list[tuple[str, str]] = []
        while not seen:
            seen, _ = await line.until_bookmark()
        assert seen == [("added", "red")]


async def test_what_belongs_to_a_node_is_read_anew_for_each_change(served: Served) -> None:
    store = served.gateway.store
    await new_edge(store)
    job = await new_job(store)
    async with served.line() as line:
        await line.subscribe("subscription { jobs { what node { executions { edge chunks } } } }")
        assert (await line.next())["node"]["executions"] == []
        assert (await line.next())["what"] == "bookmark"
        await place(store, job)
        await done(store, Command("patchStatus", f"{JOBS}/j", {"phase": "running"}), actor=SYSTEM)
        assert (await line.next())["node"]["executions"] == [{"edge": "e", "chunks": 1}]


async def test_a_subscription_lasts_longer_than_a_query_may_cost(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.graphql.context.NODES_LIMIT", 100)
    query = "subscription { jobGroups { what node { jobs(first: 60) { edges { node { name } } } } } }"
    async with served.line() as line:
        await line.subscribe(query)
        for _ in range(2):
            await line.next()
        for number in range(5):
            await new_group(served, f"g{number}")
            assert (await line.next())["what"] == "added"
            assert (await line.next())["what"] == "bookmark"


async def test_queries_and_mutations_are_answered_too(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(
            """mutation { createJobGroup(input: {path: "/config/job-groups/g"}) { jobGroup { name } } }"""
        )
        assert await line.next() == {"jobGroup": {"name": "g"}}
        assert await line.heard() == {"id": "1", "type": "complete"}
        await line.subscribe('{ node(path: "/config/job-groups/g") { name } }')
        assert await line.next() == {"name": "g"}


async def test_a_beginning_may_have_no_payload(served: Served) -> None:
    async with served.line(begun=False) as line:
        await line.send(type="connection_init", payload=None)
        assert await line.heard() == {"type": "connection_ack"}


TWO = """mutation A { createJobGroup(input: {path: "/config/job-groups/a"}) { jobGroup { name } } }
mutation B { createJobGroup(input: {path: "/config/job-groups/b"}) { jobGroup { name } } }"""


@pytest.mark.parametrize(
    ("payload", "message", "pointers"),
    [
        ({"query": ""}, "a query is required", ["/query"]),
        ({"query": " "}, "Syntax Error", []),
        ({"query": "{"}, "Syntax Error", []),
        ({"query": "{ " + "root " * 2_001 + "}"}, "tokens", []),
        ({"query": "{ rot }"}, "rot", []),
        ({"query": "query One { __typename }", "operationName": "Other"}, "no such operation", ["/operationName"]),
        ({"query": "fragment F on Node { name }"}, "no such operation", ["/operationName"]),
        ({"query": TWO}, "several", ["/operationName"]),
    ],
)
async def test_what_cannot_be_run_is_an_error_of_its_operation_alone(
    served: Served, caplog: pytest.LogCaptureFixture, payload: dict[str, Any], message: str, pointers: list[str]
) -> None:
    position = await served.gateway.position()
    async with served.line() as line:
        await line.send(type="subscribe", id="1", payload=payload)
        heard = await line.heard()
        assert (heard["type"], heard["id"]) == ("error", "1"), heard
        (error,) = heard["payload"]
        assert message in error["message"]
        assert [found["pointer"] for found in error.get("extensions", {}).get("errors", ())] == pointers
        await line.subscribe("{ __typename }")
        assert await line.next() == "Query"
    assert not [record for record in caplog.records if record.exc_info]
    assert await served.gateway.position() == position


async def test_of_several_operations_the_named_one_is_run(served: Served) -> None:
    async with served.line() as line:
        await line.send(type="subscribe", id="1", payload={"query": TWO, "operationName": "B"})
        assert await line.next() == {"jobGroup": {"name": "b"}}


async def test_one_that_is_completed_tells_no_more(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(GROUPS)
        await line.until_bookmark()
        await line.send(type="complete", id="1")
        await new_group(served, "g")
        await line.subscribe(GROUPS, "2")
        assert (await line.until_bookmark("2"))[0] == [("added", "default"), ("added", "g")]


@pytest.mark.parametrize(
    ("query", "variables", "pointer"),
    [
        (GROUPS, {"after": "odd"}, "/after"),
        (GROUPS, {"asOf": "yesterday"}, "/asOf"),
        (GROUPS, {"where": {"labels": "!!"}}, "/where/labels"),
        ('subscription { jobs(under: "odd") { what } }', {}, "/under"),
        ('subscription { jobs(under: "/config/job-groups/absent") { what } }', {}, "/under"),
        ('subscription { jobs(phase: "odd") { what } }', {}, "/phase"),
    ],
)
async def test_what_is_wrong_is_named(served: Served, query: str, variables: dict[str, Any], pointer: str) -> None:
    async with served.line() as line:
        await line.subscribe(query, **variables)
        message = await line.heard()
        (error,) = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert [found["pointer"] for found in error["extensions"]["errors"]] == [pointer]


async def test_a_position_of_another_log_is_gone(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(GROUPS, after=f"1-{'f' * 32}")
        message = await line.heard()
        (error,) = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
        assert "list again" in error["message"]
        assert error["extensions"]["oldest"] == 0


async def test_what_goes_wrong_inside_is_not_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def node(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(Backend, "node_at", node)
    async with served.line() as line:
        await line.subscribe('subscription { jobs(under: "/config") { what } }')
        message = json.dumps(await line.heard())
        assert "secret" not in message
        assert "went wrong inside" in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"type": 1}',
        '{"type": "odd"}',
        '{"id": "1"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{", "variables": []}}',
        '{"type": "' + "é" * 300 + '"}',
        '{"type": "complete"}',
        '{"type": "ping", "payload": 1}',
        '{"type": "ping", "type": "ping"}',
        '{"type": "connection_init", "payload": ' + "[" * 100_000 + "]" * 100_000 + "}",
        b"\x00",
    ],
)
async def test_a_message_that_is_none_ends_the_connection(
    served: Served, text: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served.line() as line:
        await line.socket.send(text)
        code, reason = await line.closed()
        assert code == 4400, reason
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_connection_is_bounded(served: Served) -> None:
    async with served.line() as line:
        for number in range(OPERATIONS_LIMIT):
            await line.subscribe(GROUPS, str(number), after="0-" + "0" * 32)
        await line.subscribe(GROUPS, "more")
        while (message := await line.heard())["type"] != "error":
            assert message["type"] == "next"
        assert message["id"] == "more"
    async with served.line() as line:
        await line.socket.send(" " * (LIMIT_BYTES + 1))
        assert (await line.closed())[0] == 1009
    async with served.line(begun=False) as line:
        await line.subscribe(GROUPS)
        assert (await line.closed())[0] == 4401


async def test_pages_of_other_origins_do_not_get_in(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with served.line(origin="http://evil.example"):
            pass
    assert refused.value.response.status_code == 403
    assert not [record.message for record in caplog.records if "handshake" in record.message]
    async with served.line(origin=served.address.replace("ws://", "http://").removesuffix("/graphql")) as line:
        await line.subscribe("{ __typename }")
        assert await line.next() == "Query"


async def test_over_http_a_subscription_is_refused(served: Served) -> None:
    answer = await served.gateway.client.post("/graphql", json={"query": "subscription { jobs { what } }"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/query"


async def test_the_gateway_stops_though_some_listen(served: Served) -> None:
    async with served.line() as line:
        await line.subscribe(GROUPS)
        await line.until_bookmark()
        begun = asyncio.get_running_loop().time()
        served.server.should_exit = True
        assert (await line.closed())[0] == 1012
        assert asyncio.get_running_loop().time() - begun < SHUTDOWN_TIMEOUT_S + 1
