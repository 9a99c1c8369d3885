"""The generator: sends every job at its time, and sees what becomes of it."""

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass

from datamodel.errors import Transient
from datamodel.scheduling.jobs import FINISHED, RUNNING, SUCCEEDED
from sim.load.arrivals import Arrival, Phase, Process, arrivals
from sim.load.gateway import GROUP
from sim.load.sizes import Size, Sizes, document
from sim.load.tally import Tally
from sim.load.target import Target

TRIES = 5
RETRY_S = 0.2
"""Before the second try; twice as long before each further one."""
KEPT_LIMIT = 20_000
"""Finished jobs that may wait for their deletion; arrivals beyond are dropped too."""
DELETERS = 32
_GONE = "deleted"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. `keep_s` is how long a finished job stays before it is deleted; `drain_s` how long jobs may go on
    after the last arrival."""

    phases: tuple[Phase, ...]
    process: Process = "poisson"
    seed: int = 1
    mean_chunk_ws: float = 0.2
    outstanding_limit: int = 500
    keep_s: float = 10.0
    drain_s: float = 60.0


@dataclass(slots=True)
class _Job:
    """One job on its way."""

    name: str
    intended_s: float
    tally: Tally
    phase: str = ""
    ran: bool = False

    @property
    def ended(self) -> bool:
        return self.phase in FINISHED or self.phase == _GONE


class Generator:
    """One run of a plan. What it counts is in `tallies`, one a phase, at any time."""

    def __init__(self, plan: Plan, target: Target) -> None:
        self.tallies = [Tally(phase) for phase in plan.phases]
        self.outstanding = 0
        self.run_id = uuid.uuid4().hex[:8]
        self._plan = plan
        self._target = target
        self._sizes = Sizes(plan.seed, plan.mean_chunk_ws)
        self._now_s = asyncio.get_running_loop().time
        self._began_s = self._now_s()
        self._kept: deque[tuple[float, str]] = deque()
        self._done = False

    @property
    def elapsed_s(self) -> float:
        return self._now_s() - self._began_s

    @property
    def kept(self) -> int:
        """Finished jobs that are not deleted yet."""
        return len(self._kept)

    async def run(self) -> None:
        """Returns when all jobs have ended or `drain_s` has passed since the last arrival, and all were deleted."""
        self._began_s = self._now_s()
        async with asyncio.TaskGroup() as group:
            for _ in range(DELETERS):
                group.create_task(self._delete())
            jobs = await self._send(group)
            if jobs:
                _, late = await asyncio.wait(tuple(jobs), timeout=self._plan.drain_s)
                for job in late:
                    job.cancel()
                await asyncio.gather(*late, return_exceptions=True)
            self._done = True

    async def _send(self, group: asyncio.TaskGroup) -> "set[asyncio.Task[None]]":
        """The tasks of jobs that still go on after the last arrival. A turn that comes late sends all that is due by then:
        nothing waits for anything, and each counts from its own time."""
        jobs: set[asyncio.Task[None]] = set()
        for number, arrival in enumerate(arrivals(self._plan.process, self._plan.phases, self._plan.seed)):
            if arrival.at_s > self.elapsed_s:
                await asyncio.sleep(arrival.at_s - self.elapsed_s)
            tally, size = self.tallies[arrival.phase], self._sizes.draw()
            tally.arrived += 1
            if self.outstanding >= self._plan.outstanding_limit or len(self._kept) >= KEPT_LIMIT:
                tally.dropped += 1
                continue
            self.outstanding += 1
            task = group.create_task(self._live(number, arrival, tally, size))
            jobs.add(task)
            task.add_done_callback(jobs.discard)
        return jobs

    async def _live(self, number: int, arrival: Arrival, tally: Tally, size: Size) -> None:
        job = _Job(f"load-{self.run_id}-{number}", arrival.at_s, tally)
        accepted = False
        try:
            self._mark(job, "sent")
            accepted = await self._submit(job, size)
            if accepted:
                tally.accepted += 1
                self._mark(job, "accepted")
                await self._watch(job)
        finally:
            self.outstanding -= 1
            if accepted:
                self._end(job)
            else:
                tally.refused += 1
            self._kept.append((self.elapsed_s + self._plan.keep_s, job.name))  # one without an answer may be there too

    async def _submit(self, job: _Job, size: Size) -> bool:
        """Whether it was accepted. Each try has the same idempotency key, so that one whose answer was lost counts once."""
        body = document(job.name, GROUP, self.run_id, size)
        for attempt in range(TRIES):
            if attempt:
                job.tally.retries += 1
                await asyncio.sleep(RETRY_S * (1 << (attempt - 1)))
            try:
                status = await self._target.submit(job.name, body, job.name)
            except Transient:
                job.tally.errors["submit: no answer"] += 1
                continue
            if status < 400:
                return True
            job.tally.errors[f"submit: {status}"] += 1
            if status < 500 and status != 429:
                return False
        return False

    async def _watch(self, job: _Job) -> None:
        """Returns when its end was seen. A watch that breaks off begins again, for as long as the run lasts."""

        def seen(phase: str) -> None:
            job.phase = phase
            if phase == RUNNING and not job.ran:
                job.ran = True
                self._mark(job, "running")

        while not job.ended:
            try:
                status = await self._target.watch(job.name, seen)
            except Transient:
                job.tally.errors["watch: no answer"] += 1
            else:
                if status == 404:
                    job.phase = _GONE
                elif status >= 400:
                    job.tally.errors[f"watch: {status}"] += 1
            if not job.ended:
                await asyncio.sleep(RETRY_S)

    def _end(self, job: _Job) -> None:
        if not job.ran:
            job.tally.unseen_running += 1
            self._mark(job, "running")
        self._mark(job, "finished")
        if not job.ended:
            job.tally.unfinished += 1
        elif job.phase == SUCCEEDED:
            job.tally.succeeded += 1
        else:
            job.tally.failed += 1

    def _mark(self, job: _Job, moment: str) -> None:
        job.tally.latencies[moment].add(job.intended_s, self.elapsed_s - job.intended_s)

    async def _delete(self) -> None:
        """Deletes what was kept long enough; at the end of the run, all of it at once."""
        while self._kept or not self._done:
            if not self._kept or (self._kept[0][0] > self.elapsed_s and not self._done):
                await asyncio.sleep(RETRY_S)
                continue
            due_s, name = self._kept.popleft()
            try:
                status = await self._target.delete(name)
            except Transient:
                status = 0
            if status >= 400 and status != 404:
                self.tallies[-1].errors[f"delete: {status}"] += 1
            elif not status:
                self.tallies[-1].errors["delete: no answer"] += 1
            if (not status or status >= 500) and not self._done:
                self._kept.append((due_s + self._plan.keep_s, name))
