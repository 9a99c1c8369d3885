"""The product's own asyncio code runs in the world as it is: the keyed queue, the appender, the shards."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from functools import partial

import pytest

from datamodel.appender import Appender
from datamodel.command import Outcome, Unit
from datamodel.keyqueue import KeyQueue
from datamodel.lease import Lease
from datamodel.memory import MemoryStore
from datamodel.model import Model
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from reconcilers.runtime.shards import LEASE_TTL_S, Shards, lease_name
from sim.world.dice import Dice
from sim.world.process import Process
from sim.world.universe import Universe
from tests.graph import counted_ids, job, unit
from tests.universe import outcome

SHARDS = 4


class Far:
    """A store across a network that takes 2 ms each way."""

    def __init__(self, process: Process, store: MemoryStore) -> None:
        self._process, self._store = process, store

    @property
    def model(self) -> Model:
        return self._store.model

    async def append(self, units: Sequence[Unit]) -> list[Outcome]:
        return await self._process.call(partial(self._store.append, units), there_s=0.002, back_s=0.002)

    async def acquire(self, names: Collection[str], holder: str, ttl_s: float) -> dict[str, int]:
        request = partial(self._store.acquire, names, holder, ttl_s)
        return await self._process.call(request, there_s=0.002, back_s=0.002)

    async def renew(self, prefixes: Collection[str], holder: str, ttl_s: float) -> dict[str, Lease]:
        request = partial(self._store.renew, prefixes, holder, ttl_s)
        return await self._process.call(request, there_s=0.002, back_s=0.002)

    async def release(self, names: Collection[str], holder: str) -> None:
        await self._process.call(partial(self._store.release, names, holder), there_s=0.002, back_s=0.002)


@pytest.fixture
def universe() -> Iterator[Universe]:
    with Universe() as universe:
        yield universe


def test_the_keyed_queue() -> None:
    async def main() -> list[tuple[str, float]]:
        queue, loop, seen = KeyQueue(), asyncio.get_running_loop(), list[tuple[str, float]]()
        began_s = loop.time()

        async def work() -> None:
            while True:
                key = await queue.get()
                await asyncio.sleep(1)
                seen.append((key, round(loop.time() - began_s, 3)))
                queue.done(key)

        workers = [asyncio.create_task(work()) for _ in range(2)]
        for key in ("a", "b", "a", "c"):
            queue.add(key)
        queue.add_after("later", 0.1)
        queue.add_after("last", 1800.3)
        await asyncio.sleep(0.5)
        queue.add("a")
        await asyncio.sleep(3600)
        assert len(workers) == 2
        return seen

    assert outcome(main, limit_s=4000) == [
        ("a", 1),
        ("b", 1),
        ("c", 2),
        ("later", 2),
        ("a", 3),
        ("last", 1801.3),
    ]


def test_the_appender_over_a_store_far_away(universe: Universe) -> None:
    process = Process(universe, "gateway")
    store = MemoryStore(MODEL, process.wall, counted_ids())
    committed = list[float]()

    async def main() -> None:
        await seed(store)
        async with Appender(Far(process, store), lambda: committed.append(universe.now_s)) as appender:  # type: ignore[arg-type] # what it asks for is there
            outcomes = await asyncio.gather(*(appender.append(unit(job(f"j{number}"))) for number in range(40)))
        assert [verdict.error for (verdict,) in outcomes] == [None] * 40

    process.start(main)
    universe.run(5)
    assert process.exception is None
    assert process.complaints == []
    assert [path for path in store.state.nodes if "/jobs/j" in path] == [
        f"/config/job-groups/default/jobs/j{number}" for number in range(40)
    ]
    assert len(committed) == 1
    assert abs(committed[0] - 0.004) < 1e-5, "2 ms there, 2 back"


@pytest.mark.parametrize(("killed_s", "jobs"), [(0.001, 0), (0.0045, 0), (0.006, 1), (0.0085, 1), (0.2, 49)])
def test_an_appender_that_is_killed_leaves_what_was_done(universe: Universe, killed_s: float, jobs: int) -> None:
    process = Process(universe, "gateway")
    store = MemoryStore(MODEL, process.wall, counted_ids())

    async def main() -> None:
        await seed(store)
        async with Appender(Far(process, store)) as appender:  # type: ignore[arg-type] # as above
            for number in range(100):
                await appender.append(unit(job(f"j{number}")))

    process.start(main)
    universe.at(killed_s, process.kill)
    universe.run(10)
    assert len([path for path in store.state.nodes if "/jobs/j" in path]) == jobs
    assert process.complaints == []


def test_shards_move_from_a_killed_and_a_paused_replica_to_the_living(universe: Universe) -> None:
    clock = Process(universe, "database")
    store = MemoryStore(MODEL, clock.wall, counted_ids())
    replicas = [Process(universe, f"replica-{number}") for number in range(3)]
    held = dict[str, Shards]()

    async def main(own: Process) -> None:
        shards = held[own.name] = Shards(Far(own, store))
        shards.want("group", SHARDS, lambda _: None)
        await shards.run()

    def holders() -> list[str]:
        """By shard, whose token the store would accept."""
        leases = store._leases
        names = {shards._holder: name for name, shards in held.items()}
        return [names[leases[lease_name("group", shard)].holder] for shard in range(SHARDS)]

    def shares() -> list[int]:
        return [holders().count(replica.name) for replica in replicas]

    with Dice(3).in_charge():
        for replica in replicas:
            replica.start(partial(main, replica))
        universe.run(30)
        assert sorted(shares()) in ([0, 2, 2], [1, 1, 2])
        replicas[0].kill()
        universe.run(30 + 3 * LEASE_TTL_S)
        assert shares() == [0, 2, 2]
        replicas[1].pause()
        universe.run(60 + 3 * LEASE_TTL_S)
        assert shares() == [0, 0, 4]
        replicas[1].resume()
        replicas[0].start(partial(main, replicas[0]))
        universe.run(120)
        assert sorted(shares()) in ([0, 2, 2], [1, 1, 2])
        replicas[2].stop()
        universe.run(150)
        assert replicas[2].ended
        assert sorted(shares()) == [0, 2, 2]
    assert [replica.complaints for replica in replicas] == [[], [], []]
