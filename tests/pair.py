"""Two stores on one database, as two processes have them: what one remembers is old as soon as the other writes."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from signal import SIGCONT, SIGSTOP

import asyncpg

from datamodel.command import Unit
from datamodel.errors import Transient
from datamodel.needs import needs
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import verify
from tests.graph import new_edge


@dataclass(frozen=True)
class Pair:
    """`mine` is the one whose memory is of interest; `other` writes behind its back."""

    url: str
    mine: PostgresStore
    other: PostgresStore


@asynccontextmanager
async def paired(url: str) -> AsyncIterator[Pair]:
    """Both stores, with the edge `e` of site `s`; what they leave must be the fold of the log."""
    async with AsyncExitStack() as opened:
        mine, other = [await opened.enter_async_context(PostgresStore(url, MODEL)) for _ in range(2)]
        await new_edge(mine, cpu=4.0, powerW=16.0)
        yield Pair(url, mine, other)
        await clean(other)


async def clean(store: PostgresStore) -> None:
    found = await verify(store)
    assert found.clean, str(found)


def decides_by_memory(store: PostgresStore, *units: Unit) -> bool:
    """Whether units would be decided by what the store remembers alone."""
    return store._writer.remembered.suffices(needs(MODEL, units), units)


async def hear(store: PostgresStore) -> None:
    """Reads the log to its end, as who follows it does."""
    position = 0
    store.others_wrote()
    while found := await store.changes(position, 1_000):
        position = found[-1].position


@asynccontextmanager
async def connection(url: str, name: str = "disturber") -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that is neither store's."""
    found = await asyncpg.connect(url, server_settings={"application_name": name})
    try:
        yield found
    finally:
        await found.close()


async def cut(disturber: "asyncpg.Connection[asyncpg.Record]") -> int:
    """Ends all connections of all stores on this database; returns how many, once they are gone."""
    ended: int = await disturber.fetchval(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'tendril'"
    )
    return ended


async def survived(store: PostgresStore) -> None:
    """Returns when the store reads again after its connections were cut."""
    for _ in range(8):  # as many as it may have had connections
        try:
            await store.head()
        except Transient:
            continue


@asynccontextmanager
async def round_trips(store: PostgresStore) -> AsyncIterator[list[str]]:
    """What the store's writer asks of its server within the block."""
    asked: list[str] = []
    writer = store._writer._connection
    assert writer is not None, "the store has written"
    with writer.query_logger(lambda query: asked.append(query.query)):
        yield asked
        await asyncio.sleep(0)  # loggers are called in the loop's next turn


@contextmanager
def writer_held_up(store: PostgresStore) -> Iterator[None]:
    """What the store's writer sends is carried out after the block, by a server that was busy with something else."""
    writer = store._writer._connection
    assert writer is not None, "the store has written"
    server = writer.get_server_pid()
    os.kill(server, SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, SIGCONT)
