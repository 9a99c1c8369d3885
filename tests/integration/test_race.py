"""Racing writers whose transactions are cancelled and cut off: a reader of positions misses nothing."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest_asyncio

from datamodel.command import Command, Unit
from datamodel.errors import Transient
from datamodel.event import Event
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.graph import job, unit
from tests.waiting import eventually

WRITERS = 24
BATCHES = 15


@pytest_asyncio.fixture
async def stores(database_url: str) -> AsyncIterator[list[PostgresStore]]:
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(PostgresStore(database_url, MODEL)) for _ in range(WRITERS)]


async def test_a_reader_of_positions_misses_nothing(stores: list[PostgresStore], database_url: str) -> None:
    confirmed: set[tuple[str, int]] = set()
    finished = asyncio.Event()
    reading = asyncio.create_task(follow(stores[0], finished))
    disturbing = asyncio.create_task(disturb(database_url, finished))
    unknown = await asyncio.gather(*(write(store, number, confirmed) for number, store in enumerate(stores)))
    await eventually(lambda: is_quiet(database_url))
    finished.set()
    read = await reading
    cut = await disturbing

    assert sum(unknown) > 0, "some transactions were cancelled or cut off"
    assert cut > 0, "some connections were terminated"
    assert [event.position for event in read] == list(range(1, len(read) + 1))
    assert [event.at for event in read] == sorted(event.at for event in read)
    assert confirmed <= {(event.path, event.position) for event in read}
    assert len(read) == (await stores[0].head()).position
    found = await verify(stores[0])
    assert found.clean, str(found)


async def write(store: PostgresStore, writer: int, confirmed: set[tuple[str, int]]) -> int:
    """Appends random batches; returns for how many the outcome stayed unknown."""
    choose = random.Random(writer)
    unknown = 0
    for batch in range(BATCHES):
        units = [one(choose, writer, batch, number) for number in range(choose.randint(1, 20))]
        patience_s = choose.choice([30.0, 30.0, choose.uniform(0.0, 0.02)])
        try:
            async with asyncio.timeout(patience_s):
                outcomes = await store.append(units)
        except (TimeoutError, Transient):
            unknown += 1
            continue
        confirmed.update((v.path, v.version) for outcome in outcomes for v in outcome if v.outcome == "changed")
    return unknown


def one(choose: random.Random, writer: int, batch: int, number: int) -> Unit:
    """A creation, or a patch of a node that all writers fight for; some units are refused as a whole."""
    mine = job(f"w{writer}-{batch}-{number}")
    group = Command(
        "apply", f"/config/job-groups/g{choose.randrange(4)}", {"description": f"{writer}/{batch}/{number}"}
    )
    refused = Command("delete", "/config/job-groups/none")
    return unit(*choose.choice([(mine,), (group,), (mine, group), (mine, refused)]))


async def follow(store: PostgresStore, finished: asyncio.Event) -> list[Event]:
    """All events in the order in which a reader of `position > mine` finds them."""
    read: list[Event] = []
    while True:
        last_round = finished.is_set()
        found = await store.events(len(read), 100)
        read += found
        if not found and last_round:
            return read
        assert [event.position for event in found] == [len(read) - len(found) + n + 1 for n in range(len(found))]


async def is_quiet(database_url: str) -> bool:
    """Whether no transaction is open any more: a writer that gave up may still be carried out by the server."""
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "watcher"})
    try:
        busy: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tendril'"
            " AND xact_start IS NOT NULL AND query NOT LIKE 'SELECT * FROM events%'"
        )
    finally:
        await connection.close()
    return busy == 0


async def disturb(database_url: str, finished: asyncio.Event) -> int:
    """Terminates a connection that is in a transaction, again and again; returns how many."""
    cut = 0
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "disturber"})
    try:
        while not finished.is_set():
            cut += await connection.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE datname ="
                " current_database() AND xact_start IS NOT NULL AND application_name = 'tendril'"
                " AND query NOT LIKE 'SELECT * FROM events%' ORDER BY random() LIMIT 1) AS busy"
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await finished.wait()
    finally:
        await connection.close()
    return cut
