"""One soak: the load, the samples beside it, and what comes of both."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sim.bench.report import machine
from sim.load.arrivals import Phase
from sim.load.gateway import Gateway
from sim.load.generator import Generator, Plan
from sim.load.line import keep_telling, load_line
from sim.soak.series import CACHED_ATTEMPTS, Samples
from sim.soak.system import System
from sim.soak.watch import Watcher, add_latencies, watching

WINDOW_S = 10.0
"""Of the latencies."""
SETTLED_MINUTES = 10.0
"""Judging less is said to be weak."""
MISSED_SHARE = 0.1
"""Of the samples; more, and nothing has been shown."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a soak does. The warm-up has a rate of its own: it may fill bounded caches faster than the load would."""

    minutes: float
    warmup_minutes: float
    rate: float
    warmup_rate: float
    every_s: float
    seed: int

    def plan(self) -> Plan:
        warming = Phase("warm-up", self.warmup_rate, self.warmup_minutes * 60, counted=False)
        counted = Phase("soak", self.rate, self.minutes * 60)
        return Plan((warming, counted) if self.warmup_minutes else (counted,), seed=self.seed)


async def soak(system: System, terms: Terms) -> dict[str, Any]:
    """The result as a document; `problems` in it are what must not be."""
    began = datetime.now(UTC)
    gateway = Gateway(system.url)
    try:
        await gateway.make_group()
        generator = Generator(terms.plan(), gateway)
        async with watching(system) as watcher:
            await _run(generator, watcher, terms)
    finally:
        gateway.close()
    add_latencies(watcher.samples, generator, WINDOW_S)
    return {
        "began": began.isoformat(timespec="seconds"),
        "minutes": terms.minutes,
        "warmupMinutes": terms.warmup_minutes,
        "ratePerS": terms.rate,
        "warmupRatePerS": terms.warmup_rate,
        "seed": terms.seed,
        "machine": machine(),
        "problems": problems(watcher.samples, generator, watcher),
        "notes": _notes(terms, watcher),
        "load": [tally.result(WINDOW_S) for tally in generator.tallies],
        "series": [series.result() for _, series in sorted(watcher.samples.series.items())],
    }


async def _run(generator: Generator, watcher: Watcher, terms: Terms) -> None:
    """Runs the load to its end, and samples until its last arrival: what drains after that is no steady state."""
    warmup_s = terms.warmup_minutes * 60
    last_s = warmup_s + terms.minutes * 60
    async with asyncio.TaskGroup() as group:
        sampling = group.create_task(watcher.watch(generator, terms.every_s, warmup_s))
        telling = group.create_task(keep_telling(lambda: load_line(generator)))
        asyncio.get_running_loop().call_later(last_s, sampling.cancel)
        await generator.run()
        sampling.cancel()
        telling.cancel()


def problems(samples: Samples, generator: Generator, watcher: Watcher) -> list[str]:
    """What must not be: something that grows, a program that ended, jobs that did not succeed."""
    found = [f"{name} grows" for name, series in sorted(samples.series.items()) if series.verdict == "growing"]
    found += [f"{name} was started again {times} times" for name, times in sorted(watcher.processes.restarts.items())]
    for tally in generator.tallies:
        for what, count in (("refused", tally.refused), ("failed", tally.failed), ("unfinished", tally.unfinished)):
            if count:
                found.append(f"{count} jobs {what} in the {tally.phase.name}")
    taken = max((len(series.times_s) for series in samples.series.values()), default=0)
    if watcher.missed > MISSED_SHARE * max(1, taken):
        found.append(f"{watcher.missed} samples are missing")
    return found


def _notes(terms: Terms, watcher: Watcher) -> list[str]:
    """What weakens the verdicts."""
    notes = []
    if terms.minutes / 2 < SETTLED_MINUTES:
        notes.append(
            f"Only {terms.minutes / 2:g} minutes are judged: what settles within some minutes (tables, servers' own caches, "
            "the chance of a few large jobs) looks like growth. Take growth for a reason to soak for an hour."
        )
    middle_s = (terms.warmup_minutes + terms.minutes / 2) * 60
    if watcher.filled_s is None or watcher.filled_s > middle_s:
        notes.append(
            f"Fewer than {CACHED_ATTEMPTS} attempts had been made when the judged half began: caches were still "
            "filling, and programs may have grown for that alone. Soak longer, or warm up at a higher rate."
        )
    return notes
