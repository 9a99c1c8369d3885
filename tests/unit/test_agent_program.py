"""An agent that has not joined yet ends when it is told to."""

import asyncio

import pytest

from agents.program import unless
from datamodel.errors import Forbidden
from tests.waiting import until


async def test_what_is_done_before_is_given() -> None:
    async def work() -> int:
        return 7

    assert await unless(asyncio.Event(), work()) == 7


async def test_what_it_raises_is_raised() -> None:
    async def work() -> int:
        raise Forbidden("no")

    with pytest.raises(Forbidden):
        await unless(asyncio.Event(), work())


async def test_what_tries_for_ever_is_ended_also_where_it_swallows_that_once() -> None:
    stop, trying, swallowed = asyncio.Event(), asyncio.Event(), 0

    async def work() -> None:
        nonlocal swallowed
        while True:
            trying.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed += 1

    ended = asyncio.create_task(unless(stop, work()))
    await trying.wait()
    stop.set()
    await until(ended.done)
    assert (ended.result(), swallowed) == (None, 1)
