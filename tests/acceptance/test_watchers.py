"""Two thousand idle watchers on one gateway, over connections of their own."""

import contextlib
import resource
from collections.abc import Iterator

import pytest

from deploy.local.ports import HOST
from sim.bench.client import Client
from sim.bench.stack import stack
from sim.bench.watchers import REACHED_S, WATCHERS, figures

FILES = 1_024
"""What most systems let a program have open unless it asks for more."""
CHANGES = 5


@contextlib.contextmanager
def few_files() -> Iterator[None]:
    """For the programs that are started meanwhile, and for this one afterwards as before."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.timeout(300)
async def test_a_change_reaches_two_thousand_watchers_and_a_stop_ends_them() -> None:
    """The machine is shared with other tests: so of some changes the quickest counts, and the end may take twice its second."""
    with few_files():
        async with stack(edges=1) as system:
            client = Client(HOST, system.port)
            await client.open(1)
            with contextlib.closing(client):
                found = await figures(system, client, changes=CHANGES)
    assert found["count"] == WATCHERS
    assert found["lastToldMs"]["least"] < 1_000 * REACHED_S
    assert found["endedMs"]["count"] == WATCHERS
    assert found["endedMs"]["max"] < 2_000
