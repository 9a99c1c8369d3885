"""Open loop: arrivals wait for nothing, and what a stall does to jobs is in their latencies."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest

from datamodel.errors import Transient
from sim.load.arrivals import Phase
from sim.load.generator import Generator, Plan
from sim.load.latencies import summary
from tests.universe import on_virtual_time


class Answering:
    """A system that answers at once; until `stalled_until_s` (of the loop's time), nothing is answered."""

    def __init__(self) -> None:
        self.submitted: list[tuple[str, str, float]] = []
        self.deleted: list[str] = []
        self.stalled_until_s = 0.0
        self.ends = ["pending", "running", "succeeded"]
        self.answers: list[int | None] = []
        """What the next submissions get instead of 202; None: no answer."""

    async def submit(self, name: str, document: object, key: str) -> int:
        self.submitted.append((name, key, asyncio.get_running_loop().time()))
        await self._answer()
        answer = self.answers.pop(0) if self.answers else 202
        if answer is None:
            raise Transient("no answer")
        return answer

    async def watch(self, name: str, seen: Callable[[str], None]) -> int:
        for phase in self.ends:
            await self._answer()
            seen(phase)
        return 200

    async def delete(self, name: str) -> int:
        self.deleted.append(name)
        return 202

    async def _answer(self) -> None:
        await asyncio.sleep(max(0.0, self.stalled_until_s - asyncio.get_running_loop().time()))


def plan(rate: float = 200, seconds: float = 1.0, **others: object) -> Plan:
    values = {"process": "constant", "keep_s": 0.1, "drain_s": 5.0, **others}
    return Plan((Phase("warm-up", rate, 0.2, counted=False), Phase("counted", rate, seconds)), **values)  # type: ignore[arg-type]


@on_virtual_time
async def test_every_job_is_counted_once_and_deleted() -> None:
    system = Answering()
    generator = Generator(plan(), system)
    await generator.run()
    warming, counted = generator.tallies
    assert (warming.arrived, counted.arrived) == (40, 200)
    assert counted.accepted == counted.succeeded == 200
    assert not counted.errors
    assert {len(latencies) for latencies in counted.latencies.values()} == {200}
    assert Counter(system.deleted) == Counter(name for name, _, _ in system.submitted)
    assert generator.outstanding == generator.kept == 0


@on_virtual_time
async def test_a_stall_of_the_system_holds_up_no_arrival_and_is_in_the_latencies() -> None:
    system = Answering()
    generator = Generator(plan(), system)
    began_s = asyncio.get_running_loop().time()
    stall = (began_s + 0.5, began_s + 0.9)
    asyncio.get_running_loop().call_at(stall[0], setattr, system, "stalled_until_s", stall[1])
    await generator.run()
    sent_meanwhile = [at_s for _, _, at_s in system.submitted if stall[0] < at_s < stall[1]]
    assert len(sent_meanwhile) == 79, "one client that waited would have sent one"
    found = generator.tallies[1].latencies
    assert found["accepted"].summary()["p99"] > 350
    assert found["finished"].summary()["p90"] > 250, "40 % of the time was stalled: a tenth waited most of it"
    assert found["accepted"].summary()["p50"] < 100, "and the rest did not"


async def test_a_stall_of_the_generator_itself_counts_from_the_intended_times() -> None:
    system = Answering()
    generator = Generator(plan(), system)
    asyncio.get_running_loop().call_later(0.5, time.sleep, 0.4)  # as a busy machine does: nobody runs
    await generator.run()
    counted = generator.tallies[1]
    assert counted.arrived == counted.succeeded == 200, "nothing was left out"
    assert counted.latencies["sent"].summary()["p99"] > 350
    assert counted.latencies["accepted"].summary()["p99"] > 350


@on_virtual_time
async def test_beyond_the_bound_arrivals_are_dropped_and_counted() -> None:
    system = Answering()
    generator = Generator(plan(outstanding_limit=20), system)
    system.stalled_until_s = asyncio.get_running_loop().time() + 0.7
    await generator.run()
    warming, counted = generator.tallies
    assert warming.arrived + counted.arrived == 240
    assert warming.dropped == 20
    assert 50 <= counted.dropped <= 120
    assert counted.accepted + counted.dropped == 200
    assert len(system.submitted) == 240 - warming.dropped - counted.dropped


@on_virtual_time
async def test_a_submission_is_tried_again_with_its_key() -> None:
    system = Answering()
    system.answers = [None, 503]
    generator = Generator(plan(rate=5), system)
    await generator.run()
    tries = Counter(key for _, key, _ in system.submitted)
    assert sorted(tries.values()) == [1, 1, 1, 1, 1, 3] or sorted(tries.values()) == [1, 1, 1, 1, 2, 2]
    assert all(name == key for name, key, _ in system.submitted)
    assert sum(tally.retries for tally in generator.tallies) == 2
    assert sum((tally.errors for tally in generator.tallies), Counter()) == {"submit: no answer": 1, "submit: 503": 1}
    assert sum(tally.succeeded for tally in generator.tallies) == 6


@on_virtual_time
async def test_what_is_refused_is_not_tried_again() -> None:
    system = Answering()
    system.answers = [422]
    generator = Generator(plan(rate=5), system)
    await generator.run()
    assert sum(tally.refused for tally in generator.tallies) == 1
    assert sum(tally.retries for tally in generator.tallies) == 0


@on_virtual_time
async def test_jobs_that_never_end_count_with_the_time_that_they_took_so_far() -> None:
    system = Answering()
    system.ends = ["pending"]
    generator = Generator(plan(rate=10, seconds=0.5, drain_s=0.6), system)
    await generator.run()
    counted = generator.tallies[1]
    assert counted.unfinished == counted.arrived == 5
    for moment in ("running", "finished"):
        assert counted.latencies[moment].summary()["p50"] > 550
    assert len(system.deleted) == 7, "nothing is left"


@on_virtual_time
async def test_jobs_that_end_otherwise_are_failures() -> None:
    system = Answering()
    system.ends = ["failed"]
    generator = Generator(plan(rate=10, seconds=0.5), system)
    await generator.run()
    assert generator.tallies[1].failed == generator.tallies[1].unseen_running == 5


@pytest.mark.parametrize("count", [1, 2, 99, 100, 1000, 1234])
def test_percentiles_are_samples_that_so_many_do_not_exceed(count: int) -> None:
    seconds = [(number + 1) / 1000 for number in range(count)]
    found = summary(list(reversed(seconds)))
    for name, q in {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}.items():
        below = sum(second * 1000 <= found[name] + 1e-9 for second in seconds)
        assert below >= q * count > below - 1
    assert summary([]) == {"count": 0}
