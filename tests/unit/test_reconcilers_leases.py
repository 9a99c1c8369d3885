"""Who grants leases: the replica that holds the edge's shard once it has read the question, and nobody else."""

import asyncio

import pytest

from datamodel.appender import Appender
from datamodel.command import Advance, Fence
from datamodel.errors import Fenced
from datamodel.feed.memory import MemoryMessages
from datamodel.names import last_name
from datamodel.reads import Reads
from datamodel.scheduling import leases as wire
from datamodel.seeds import seed
from reconcilers.leases import Leases
from tests.graph import done, memory_store, new_edge, new_job, place

LEASE_S = 5.0
BOOT = 7
KEY = "s/e"
SHARD = "leases/0"


async def test_who_has_lost_the_shard_after_a_question_came_grants_nothing() -> None:
    store, messages = memory_store(), MemoryMessages()
    await seed(store)
    await new_edge(store)
    attempt = await place(store, await new_job(store, chunks=1), leaseS=LEASE_S)
    await done(store, advance=Advance(KEY, 0, BOOT))
    answers: list[wire.LeaseAnswer] = []
    await messages.subscribe(wire.answer_subject("s", "e"), lambda _, body: answers.append(wire.decode_answer(body)))

    async def ask(number: int) -> None:
        held = (wire.Held("e", last_name(attempt)),)
        question = wire.LeaseAsk(wire.WIRE_VERSION, "s", "e", BOOT, number, held)
        await messages.publish(wire.ask_subject("s", "e"), wire.encode(question))

    async with asyncio.timeout(10), Appender(store) as appender:
        leases = Leases(store, appender, Reads(store), messages, lambda *_: True)
        await leases.listen(lambda _: True)
        former = Fence(SHARD, (await store.acquire([SHARD], "former", 60.0))[SHARD])
        await ask(1)
        await leases.reconcile(KEY, former)
        await ask(2)
        await store.release([SHARD], "former")
        newest = Fence(SHARD, (await store.acquire([SHARD], "newest", 60.0))[SHARD])
        with pytest.raises(Fenced):
            await leases.reconcile(KEY, former)
        await ask(3)
        await leases.reconcile(KEY, newest)
    holds = {last_name(attempt): LEASE_S}
    assert answers == [wire.LeaseAnswer(1, holds), wire.LeaseAnswer(3, holds)]
