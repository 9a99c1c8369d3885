"""Connections: what they ask of Postgres and of the kernel."""

import socket
from typing import Any

import pytest

from datamodel.postgres.connect import SEND_BUFFER_BYTES, connect_writer, open_pool
from datamodel.postgres.statements import DEFINE


@pytest.mark.asyncio
async def test_who_reads_by_key_starts_no_process_to_share_the_work(database_url: str) -> None:
    """The feed's reading of the log did, once that was long: it took 5 ms for what takes 0.1."""
    shares: dict[bool, bool] = {}
    for keyed in (True, False):
        pool = await open_pool(database_url, 1, keyed=keyed, connected=lambda: None)
        async with pool, pool.acquire() as connection:
            await connection.execute("SET debug_parallel_query = on")  # wherever it may
            plan = await connection.fetch("EXPLAIN SELECT * FROM events WHERE position > 7 ORDER BY position LIMIT 9")
        shares[keyed] = any("Gather" in row[0] for row in plan)
    assert shares == {True: False, False: True}


@pytest.mark.asyncio
async def test_a_writers_socket_takes_a_batch_at_a_time(database_url: str) -> None:
    writer = await connect_writer(database_url, DEFINE)
    transport: Any = getattr(writer, "_transport")  # noqa: B009 - the driver has no other way to it
    opened = transport.get_extra_info("socket")
    assert opened.family == socket.AF_UNIX
    with socket.socket(socket.AF_UNIX) as usual, socket.socket(socket.AF_UNIX) as widened:
        widened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sizes = [one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for one in (usual, opened, widened)]
    await writer.close()
    assert sizes[0] < sizes[1] == sizes[2], "as much as the kernel permits"
