"""One suite for what sends calls: over HTTP, and in memory."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import trustme

from reconcilers.calling.exposure import Exposure, allowed_in, ports_in
from reconcilers.calling.http import HttpSender
from reconcilers.calling.memory import MemorySender
from reconcilers.calling.ports import (
    BROKEN,
    NOT_ALLOWED,
    TIMED_OUT,
    UNREACHABLE,
    UNRESOLVED,
    UNTRUSTED,
    Call,
    Reply,
    Sender,
    Unsent,
)
from tests.receiver import DROP, HUGE, NEVER, SLOW, Receiver, Taken, receiving
from tests.waiting import until

TIMEOUT_S = 0.5
BODY = b'{"a":1}'


def exposure(allow: str = "127.0.0.0/8", ports: str = "1-65535", *, plain: bool = True) -> Exposure:
    networks, names = allowed_in(allow)
    return Exposure(networks, names, plain, ports_in(ports))


@dataclass
class Sending:
    """A sender, and a receiver that it reaches."""

    sender: Sender
    receiver: Receiver

    async def send(self, path: str = "/hook") -> Reply:
        return await self.sender.send(Call(self.receiver.url(path), {"webhook-id": "evt_1"}, BODY))


def in_memory(receiver: Receiver) -> MemorySender:
    async def carry(call: Call) -> Reply | None:
        parts = urlsplit(call.url)
        if parts.port != receiver.port:
            return Unsent(UNREACHABLE, "nobody listens there")
        number = len(receiver.taken)
        receiver.taken.append(Taken(parts.path, dict(call.headers), call.body))
        answer = receiver.answer(number)
        return answer if isinstance(answer, int) else None

    return MemorySender(carry, exposure(), TIMEOUT_S)


@pytest_asyncio.fixture(params=["http", "memory"])
async def sending(request: pytest.FixtureRequest) -> AsyncIterator[Sending]:
    async with receiving() as receiver, HttpSender(exposure(), timeout_s=TIMEOUT_S) as http:
        yield Sending(http if request.param == "http" else in_memory(receiver), receiver)


@pytest.mark.parametrize("status", [200, 204, 301, 302, 307, 400, 404, 410, 429, 500, 503])
async def test_the_status_is_told_and_no_redirect_followed(sending: Sending, status: int) -> None:
    sending.receiver.answer = lambda _: status
    assert await sending.send("/a?b=c") == status
    assert len(sending.receiver.taken) == 1


async def test_what_is_sent_arrives(sending: Sending) -> None:
    assert await sending.send() == 204
    (taken,) = sending.receiver.taken
    assert (taken.path, taken.headers["webhook-id"], taken.body) == ("/hook", "evt_1", BODY)


async def test_who_never_answers_is_not_waited_for(sending: Sending) -> None:
    sending.receiver.answer = lambda _: NEVER
    reply = await asyncio.wait_for(sending.send(), 20 * TIMEOUT_S)
    assert isinstance(reply, Unsent)
    assert reply.reason == TIMED_OUT
    assert len(sending.receiver.taken) == 1, "it had the call all the same"


async def test_nobody_there_is_said(sending: Sending) -> None:
    async with receiving() as gone:
        url = gone.url()
    reply = await sending.sender.send(Call(url, {"webhook-id": "evt_1"}, BODY))
    assert isinstance(reply, Unsent)
    assert reply.reason == UNREACHABLE


# What only the real one has to do with: addresses, certificates, streams.


async def refused(sender: HttpSender, url: str) -> str:
    reply = await sender.send(Call(url, {}, BODY))
    assert isinstance(reply, Unsent), reply
    assert "127.0.0.1" not in reply.message
    return reply.reason


async def test_headers_are_those_of_http_and_no_others() -> None:
    async with receiving() as receiver, HttpSender(exposure(), timeout_s=TIMEOUT_S) as sender:
        await sender.send(Call(receiver.url(), {"webhook-id": "evt_1"}, BODY))
        await sender.send(Call(receiver.url(), {"webhook-id": "evt_2"}, BODY))
    assert receiver.taken[0].headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "user-agent": "tendril",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "webhook-id": "evt_1",
    }
    assert receiver.connections == 2, "what a connection was checked for is its name"


async def test_private_addresses_are_refused_before_a_connection() -> None:
    async with receiving() as receiver, HttpSender(exposure(""), timeout_s=TIMEOUT_S) as sender:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]"):
            assert await refused(sender, receiver.url(host=host)) in (NOT_ALLOWED, UNRESOLVED), host
        assert receiver.connections == 0


async def test_every_address_of_a_name_is_checked() -> None:
    async with receiving() as receiver:
        for addresses in (["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "fe80::1%eth0"]):

            async def resolve(host: str, port: int, found: list[str] = addresses) -> list[str]:
                return found

            async with HttpSender(exposure(), timeout_s=TIMEOUT_S, resolve=resolve) as sender:
                assert await refused(sender, receiver.url(host="name.test")) == NOT_ALLOWED
        assert receiver.connections == 0


async def test_a_name_that_is_bound_anew_leads_nowhere_else() -> None:
    """Its server tells a good address to who checks, and then another one to who connects: nobody asks it again."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1" if len(asked) == 1 else "127.0.0.2"]

    async with (
        receiving() as receiver,
        HttpSender(exposure("127.0.0.1/32"), timeout_s=TIMEOUT_S, resolve=resolve) as sender,
    ):
        url = receiver.url(host="rebound.test")
        assert await sender.send(Call(url, {}, BODY)) == 204
        assert asked == ["rebound.test"]
        assert receiver.taken[0].headers["host"] == f"rebound.test:{receiver.port}"
        assert await refused(sender, url) == NOT_ALLOWED, "the other address was not allowed"
        assert receiver.connections == 1


async def test_the_next_address_is_tried_where_nobody_listens_at_the_first() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with receiving() as receiver, HttpSender(exposure(), timeout_s=TIMEOUT_S, resolve=resolve) as sender:
        assert await sender.send(Call(receiver.url(host="name.test"), {}, BODY)) == 204


async def test_an_address_of_version_6_is_one() -> None:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "::1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        async with HttpSender(exposure("::1/128"), timeout_s=TIMEOUT_S) as sender:
            assert await sender.send(Call(receiver.url(host="[::1]"), {}, BODY)) == 204
        assert receiver.taken[0].headers["host"] == f"[::1]:{receiver.port}"
    finally:
        server.close()


async def test_a_name_without_an_address_is_said() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    async with HttpSender(exposure(), timeout_s=TIMEOUT_S, resolve=resolve) as sender:
        assert await refused(sender, "http://nowhere.test/") == UNRESOLVED


async def test_the_operators_schemes_and_ports_are_the_only_ones() -> None:
    async with receiving() as receiver:
        async with HttpSender(exposure(plain=False), timeout_s=TIMEOUT_S) as sender:
            assert await refused(sender, receiver.url()) == NOT_ALLOWED
        async with HttpSender(exposure(ports="80,443"), timeout_s=TIMEOUT_S) as sender:
            assert await refused(sender, receiver.url()) == NOT_ALLOWED
        assert receiver.connections == 0


async def test_of_an_answer_no_more_is_read_than_its_status() -> None:
    async with receiving(lambda _: HUGE) as receiver, HttpSender(exposure(), timeout_s=20.0) as sender:
        assert await asyncio.wait_for(sender.send(Call(receiver.url(), {}, BODY)), 10.0) == 200
        await until(lambda: not receiver.at_once)
        assert receiver.written < 64 * 2**20


@pytest.mark.parametrize(("answer", "reason"), [(SLOW, TIMED_OUT), (DROP, BROKEN)])
async def test_an_answer_that_takes_too_long_or_breaks_off_is_none(answer: str, reason: str) -> None:
    async with receiving(lambda _: answer) as receiver, HttpSender(exposure(), timeout_s=TIMEOUT_S) as sender:
        assert await asyncio.wait_for(refused(sender, receiver.url()), 20 * TIMEOUT_S) == reason


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def of_server(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("name", "is_trusted", "expected"),
    [
        ("name.test", True, 204),
        ("other.test", True, UNTRUSTED),
        ("127.0.0.1", True, UNTRUSTED),
        ("name.test", False, UNTRUSTED),
    ],
)
async def test_the_certificate_is_that_of_the_name(
    authority: trustme.CA, name: str, *, is_trusted: bool, expected: int | str
) -> None:
    """Though the connection is made to an address."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    trust = ssl.create_default_context()
    if is_trusted:
        authority.configure_trust(trust)
    async with (
        receiving(tls=of_server(authority, name)) as receiver,
        HttpSender(exposure(plain=False), timeout_s=10.0, resolve=resolve, trust=trust) as sender,
    ):
        reply = await sender.send(Call(receiver.url(host="name.test"), {}, BODY))
        assert (reply.reason if isinstance(reply, Unsent) else reply) == expected
        assert len(receiver.taken) == (expected == 204)


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        async with HttpSender(exposure(), timeout_s=TIMEOUT_S) as sender:
            assert await sender.send(Call(receiver.url(), {}, BODY)) == 204
        assert proxy.connections == 0
