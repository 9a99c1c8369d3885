"""The job requester: keeps so many jobs waiting, with random work, until as many in all as asked have finished.

It uses the public API alone, cleans up what has finished, and prints one line a second: rates and latencies.
"""

import asyncio
import random
import sys
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from datamodel.errors import Transient
from sim.settings import Settings

EVERY_S = 0.5
PATIENCE_S = 30.0
"""How long a gateway may be away."""
LINE_EVERY_S = 1.0
PAGE = 1000
WINDOW = 1_000
"""How many of the last finished jobs the latencies are of."""
_FINISHED = ("succeeded", "failed", "aborted")


@dataclass(slots=True)
class Tally:
    """What the requester has seen so far."""

    began_s: float = field(default_factory=time.monotonic)
    submitted: int = 0
    finished: int = 0
    failed: int = 0
    pending: int = 0
    running: int = 0
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def line(self) -> str:
        minutes = max(time.monotonic() - self.began_s, 0.001) / 60
        ordered = sorted(self.latencies_s)
        p50, p99 = (_quantile(ordered, q) for q in (0.5, 0.99))
        return (
            f"submitted {self.submitted}  pending {self.pending}  running {self.running}  finished {self.finished}"
            f"  failed {self.failed}  {self.finished / minutes:.0f} jobs/min"
            f"  submit to finished p50 {p50:.2f} s p99 {p99:.2f} s"
        )


class Requester:
    """One run against one gateway."""

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._random = random.Random(settings.seed)  # noqa: S311 - a load, not a secret
        self._run = uuid.uuid4().hex[:8]
        self.tally = Tally()

    async def run(self) -> Tally:
        """Until as many jobs as asked have finished, or it is cancelled. Raises `Transient` where the gateway is away for
        too long or refuses a job."""
        await self._make_group()
        line_due = 0.0
        while True:
            jobs = await self._jobs()
            await self._clean_up([job for job in jobs if job["status"]["phase"] in _FINISHED])
            active = [job for job in jobs if job["status"]["phase"] not in _FINISHED]
            self.tally.pending = sum(job["status"]["phase"] == "pending" for job in active)
            self.tally.running = len(active) - self.tally.pending
            await self._submit(self._wanted(len(active)))
            if time.monotonic() >= line_due:
                line_due = time.monotonic() + LINE_EVERY_S
                _print(self.tally.line())
            if self._settings.max_jobs and self.tally.finished >= self._settings.max_jobs:
                _print(self.tally.line(), last=True)
                return self.tally
            await asyncio.sleep(EVERY_S)

    def _wanted(self, active: int) -> int:
        settings = self._settings
        wanted = min(settings.pending - self.tally.pending, settings.max_active - active)
        if settings.max_jobs:
            wanted = min(wanted, settings.max_jobs - self.tally.submitted)
        return max(0, wanted)

    async def _submit(self, count: int) -> None:
        for _ in range(count):
            number = self.tally.submitted
            work_ws = self._random.uniform(self._settings.min_power, self._settings.max_power)
            document = {
                "name": f"sim-{self._run}-{number}",
                "group": self._settings.group,
                "labels": {"sim-run": self._run},
                "chunks": self._settings.chunks,
                "workWs": round(work_ws, 3),
                "requests": {"cpu": 0.1, "memoryBytes": 16 * 1024 * 1024, "powerW": 1},
                "steps": [{"name": "work", "image": "busybox:latest", "command": ["true"]}],
            }
            headers = {"Idempotency-Key": f"sim-{self._run}-{number}"}
            await self._ask("POST", "/v1/jobs", json=document, headers=headers)
            self.tally.submitted += 1

    async def _jobs(self) -> list[dict[str, Any]]:
        """The run's own jobs; those of others in the same group are left alone."""
        jobs: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"group": self._settings.group, "limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            page = (await self._ask("GET", "/v1/jobs", params=query)).json()
            jobs += [job for job in page["items"] if job["metadata"]["labels"].get("sim-run") == self._run]
            cursor = page.get("cursor")
            if not cursor:
                return jobs

    async def _clean_up(self, finished: list[dict[str, Any]]) -> None:
        for job in finished:
            if job["metadata"].get("deletionRequestedAt"):
                continue
            created, ended = (
                datetime.fromisoformat(moment) for moment in (job["metadata"]["createdAt"], job["status"]["finishedAt"])
            )
            self.tally.finished += 1
            self.tally.failed += job["status"]["phase"] != "succeeded"
            self.tally.latencies_s.append((ended - created).total_seconds())
            await self._ask("DELETE", f"/v1/jobs/{self._settings.group}/{job['metadata']['name']}")

    async def _make_group(self) -> None:
        path = f"/v1/config/job-groups/{self._settings.group}"
        await self._ask("PUT", path, json={"spec": {"description": "Jobs of the simulator."}})

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request, tried again while the gateway is away, for at most `PATIENCE_S`."""
        deadline, is_told = time.monotonic() + PATIENCE_S, False
        while True:
            try:
                answer = await self._client.request(method, path, **arguments)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise Transient(f"{self._settings.url} does not answer: {error}") from error
                if not is_told:
                    sys.stderr.write(
                        f"sim: {self._settings.url} does not answer, and is asked again for {PATIENCE_S:g} s\n"
                    )
                is_told = True
            else:
                if answer.status_code < 400:
                    return answer
                if answer.status_code != 503 or time.monotonic() > deadline:
                    raise Transient(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            await asyncio.sleep(EVERY_S)


def _quantile(ordered: list[float], q: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else 0.0


def _print(line: str, *, last: bool = False) -> None:
    """On a terminal one line that moves; elsewhere a line each time."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{line}" + ("\n" if last else ""))
    else:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
