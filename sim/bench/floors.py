"""What the parts carry here by themselves, with nothing of ours between them and the caller.

Nothing that is built on them can be faster, and machines differ by more than versions do: so a figure says most beside its
floor of the same run.
"""

import asyncio
import itertools
import time
import uuid
from datetime import UTC, datetime

import asyncpg
import msgspec
from nats.aio.msg import Msg
from nats.js.api import Header

from datamodel.feed.bus import Bus
from datamodel.feed.stream import ASK_EVERY, WINDOW, JetStreams
from sim.bench.graph import TEXT, UNIT, shelf

EPOCH = 1_000_000
"""Of a stream that nobody follows, beside the relay's."""
_EXPECTED = Header.EXPECTED_LAST_SEQUENCE.value

_TABLES = """
CREATE TABLE bare_events (position bigint PRIMARY KEY, id text, at timestamptz, op text, path text, uid text, kind text,
    part json, actor text);
CREATE TABLE bare_nodes (path text PRIMARY KEY, uid text, kind text, spec json, version bigint, created_at timestamptz)
"""
_INSERT = """
WITH written AS (INSERT INTO bare_events
    SELECT position, id, $4, 'create', path, uid, 'Item', part, 'bench'
    FROM unnest($1::bigint[], $2::text[], $3::text[], $5::text[], $6::json[]) AS sent (position, id, path, uid, part))
INSERT INTO bare_nodes SELECT path, uid, 'Item', part, position, $4
FROM unnest($1::bigint[], $3::text[], $5::text[], $6::json[]) AS sent (position, path, uid, part)
"""


class _Named:
    __slots__ = ("name", "number")

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number


def interpreted(rounds: int = 5) -> int:
    """Objects a second that the interpreter makes and puts into dictionaries, in the best of some rounds. Of one version, an
    interpreter that was compiled without the optimizations of its distributions makes two thirds of them."""
    count, fastest_s = 100_000, float("inf")
    for _ in range(rounds):
        began, kept = time.perf_counter(), dict[str, _Named]()
        for number in range(count):
            found = _Named(str(number), number)
            kept[found.name] = found
            if len(kept) == 1_000:
                kept.clear()
        fastest_s = min(fastest_s, time.perf_counter() - began)
    return round(count / fastest_s)


async def inserted(database_url: str, seconds: float) -> dict[str, float]:
    """One connection inserts the rows of new nodes and their events, as `append` has them, into two tables with a primary key
    each and no other index: durable events a second."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(_TABLES)
        part, first = msgspec.json.encode({"text": TEXT}).decode(), 0
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            numbers = range(first, first + UNIT)
            ids, uids = ([uuid.uuid4().hex for _ in numbers] for _ in range(2))
            paths = [f"{shelf(number % UNIT)}/items/i{number}" for number in numbers]
            await connection.execute(_INSERT, list(numbers), ids, paths, datetime.now(UTC), uids, [part] * UNIT)
            first += UNIT
        return {"eventsPerS": round(first / (time.perf_counter() - began)), "events": first}
    finally:
        await connection.close()


async def published(bus: Bus, count: int) -> dict[str, float]:
    """Ready messages of 500 bytes to a stream like the relay's, each with the sequence that it expects, acknowledged as the
    relay's are: messages a second."""
    streams = JetStreams(bus)
    await streams.create(EPOCH, 1, 0)
    inbox, acknowledged, progress = bus.client.new_inbox(), 0, asyncio.Event()

    async def on_acknowledgement(message: Msg) -> None:
        nonlocal acknowledged
        acknowledged = int(message.subject.rpartition(".")[2])
        progress.set()

    async def through(number: int) -> None:
        while acknowledged < number:
            progress.clear()
            await progress.wait()

    subscription = await bus.client.subscribe(f"{inbox}.*", cb=on_acknowledgement)
    body, began = b"x" * 500, time.perf_counter()
    for number in itertools.islice(itertools.count(1), count):
        await through(number - WINDOW)
        asks = number % ASK_EVERY == 0 or number == count
        reply = f"{inbox}.{number}" if asks else ""
        await bus.client.publish(f"graph.{EPOCH}.i{number}", body, reply=reply, headers={_EXPECTED: str(number - 1)})
    async with asyncio.timeout(60):
        await through(count)
    took_s = time.perf_counter() - began
    await subscription.unsubscribe()
    await bus.manager.delete_stream(f"GRAPH-{EPOCH}")
    return {"messagesPerS": round(count / took_s), "messages": count}
