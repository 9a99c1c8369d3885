"""`python -m sim.chaos.sites.rogue SITE/EDGE EPOCH`: an agent with a good credential that tries to be another one.

Takes an agent's environment; EPOCH is the feed's. Prints what it tried, and what of that was let through.
"""

import asyncio
import json
import sys
from collections.abc import Iterator

import msgspec

from agents.settings import Settings
from datamodel.feed.access import Access
from datamodel.identity.envelope import seal
from datamodel.identity.nkeys import Key
from datamodel.program import read_settings, run_program
from datamodel.scheduling import wire

PAUSE_S = 1.2
"""The hub logs one refusal a second."""
_TIMEOUT_S = 20.0
_LINE_BYTES = 2**20


class Tries(msgspec.Struct, frozen=True):
    """What a rogue has done: subjects, of which none may be `through`; and messages at its own subject, which look right to the
    server."""

    subjects: list[str]
    through: list[str]
    forged: int


def tries(site: str, edge: str, epoch: int) -> Iterator[tuple[str, str]]:
    """Protocol verbs and subjects that belong to another agent, or to the hub."""
    other, stream = f"{site}.{edge}", f"GRAPH-{epoch}"
    for word in ("report", "beat", "secrets", "lease", "digest", "hub", "committed", "sealed", "told", "leased"):
        yield "PUB", f"{word}.{other}"
    for word in ("committed", "sealed", "told", "leased", "differences", "missed", "report", "secrets"):
        yield "SUB", f"{word}.{other}"
    yield from (
        ("SUB", f"feed.{other}.>"),
        ("SUB", f"logs.{other}.>"),
        ("SUB", "graph.>"),
        ("SUB", ">"),
        ("SUB", "_INBOX.>"),
    )
    yield from (("PUB", f"logs.{other}.a"), ("PUB", f"artifacts.{other}.a.data.0"), ("PUB", f"feed.{other}.0123"))
    yield from (("PUB", f"graph.{epoch}.config"), ("PUB", f"$JS.ACK.{stream}.{site}_{edge}.1.1.1.1.1"))
    for name in (stream, "LOGS", "ARTIFACTS"):
        for asked in (
            "STREAM.PURGE",
            "STREAM.DELETE",
            "STREAM.MSG.GET",
            "STREAM.MSG.DELETE",
            "STREAM.UPDATE",
            "DIRECT.GET",
        ):
            yield "PUB", f"$JS.API.{asked}.{name}"
        yield "PUB", f"$JS.API.CONSUMER.CREATE.{name}.{site}_{edge}"
        yield "PUB", f"$JS.API.CONSUMER.DELETE.{name}.{site}_{edge}"
        yield "PUB", f"$JS.API.CONSUMER.MSG.NEXT.{name}.{site}_{edge}"
    yield from (("PUB", "$SYS.REQ.CLAIMS.UPDATE"), ("PUB", "$JS.API.STREAM.NAMES"))


def forgeries(key: Key, own: tuple[str, str], other: tuple[str, str]) -> Iterator[bytes]:
    """What it may send at its own subject, and the hub must not believe: not signed, signed with another key, signed for
    another place, and told in another's name."""
    subject = wire.report_subject(*own)
    window = wire.encode(wire.Window(1, *other, "incarnation", 1, []))
    yield window
    yield seal(Key.new("user"), subject, window)
    yield seal(key, wire.report_subject(*other), window)
    yield seal(key, subject, window)


async def _rogue() -> None:
    site, _, edge = sys.argv[1].partition("/")
    settings = read_settings(Settings)
    line = _Raw(*await _connected(settings.nats), settings.nats)
    await line.begin()
    tried, through = [], []
    for verb, subject in tries(site, edge, int(sys.argv[2])):
        tried.append(subject)
        command = f"PUB {subject} 0\r\n" if verb == "PUB" else f"SUB {subject} 1"
        if "permissions violation" not in (await line.say(command.encode())).lower():
            through.append(f"{verb} {subject}")
    own = (settings.edge_site, settings.edge_name)
    forged = list(forgeries(settings.nats.credential().key, own, (site, edge)))
    for body in forged:
        await line.say(f"PUB {wire.report_subject(*own)} {len(body)}\r\n".encode() + body)
        await asyncio.sleep(PAUSE_S)
    line.close()
    sys.stdout.write(msgspec.json.encode(Tries(tried, through, len(forged))).decode())


async def _connected(access: Access) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = access.url.removeprefix("tls://").partition(":")
    return await asyncio.open_connection(host, int(port), limit=_LINE_BYTES)


class _Raw:
    """NATS' protocol, without a library that would refuse to say what it should not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, access: Access) -> None:
        self._reader, self._writer, self._access = reader, writer, access

    async def begin(self) -> None:
        """TLS, and who it is."""
        greeting = json.loads((await self._reader.readline()).decode().partition(" ")[2])
        tls = self._access.tls()
        assert tls is not None, "the hub is found by tls://"
        await self._writer.start_tls(tls, server_hostname=self._access.url.removeprefix("tls://").partition(":")[0])
        credential = self._access.credential()
        shown = {"jwt": credential.jwt, "sig": credential.answer(greeting["nonce"]).decode()}
        answers = await self.say(f"CONNECT {json.dumps(shown)}".encode())
        assert "authorization" not in answers.lower(), answers

    async def say(self, command: bytes) -> str:
        """What the server says to a command, until it has answered a PING."""
        self._writer.write(command + b"\r\nPING\r\n")
        answers = ""
        async with asyncio.timeout(_TIMEOUT_S):
            while (line := (await self._reader.readline()).decode()) not in ("", "PONG\r\n"):
                answers += line
        return answers

    def close(self) -> None:
        self._writer.close()


def main() -> int:
    return run_program("rogue", _rogue)


if __name__ == "__main__":
    sys.exit(main())
