"""How jobs say that their chunks are placed, and whether they are, seen in every event of the log."""

import math
from collections.abc import Callable

from datamodel.event import Event
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.attempts import ENDED, RUN, claim_of
from datamodel.scheduling.edges import desired_path, place_of
from datamodel.scheduling.jobs import FINISHED
from datamodel.scheduling.scheduler import PRIORITY_DEFAULT
from datamodel.state import State
from sim.world.witness import IN_FLIGHT_S

LEAST_MARGIN = 10
"""Nobody is stopped for a job of a priority that is higher by less."""


class Manners:
    """Complains, by a sentence to `complain`, of chunks that are placed as their job says they are not to be. Attempts that
    nobody wants any more, or have ended, are none."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._wanted: dict[str, dict[str, str]] = {}
        """By job's uid, the attempts and their edges."""
        self._begun: dict[str, int] = {}
        """By gang, where its first attempt is in the log, or would be."""
        self._quiet_s = -math.inf
        self._jobs: dict[str, tuple[int, float, bool]] = {}
        """The priority of each, when something of it changed last, and whether it is to run."""

    def restored(self, state: State, now_s: float) -> None:
        """The database was put back: who had read it before may go by that for a while."""
        self._quiet_s = now_s + IN_FLIGHT_S
        self._wanted, self._begun, self._jobs = {}, {}, {}
        for node in state.nodes.values():
            if node.kind == "Job":
                self._jobs[node.path] = node.spec.get("priority", PRIORITY_DEFAULT), now_s, node.phase not in FINISHED
            if node.kind == "Attempt" and _is_wanted(node):
                self._of(node)[node.path] = desired_path(*place_of(node.path))

    def appended(self, event: Event, state: State, now_s: float) -> None:
        if event.kind == "Job":
            job = state.nodes.get(event.path)
            known = self._jobs.get(event.path, (0, 0.0, False))[0]
            priority = job.spec.get("priority", PRIORITY_DEFAULT) if job is not None else known
            self._jobs[event.path] = priority, now_s, job is not None and job.phase not in FINISHED
        if event.kind != "Attempt":
            return
        attempt = state.nodes.get(event.path)
        if attempt is not None and event.actor == "placement" and event.op == "specChanged":
            self._stopped(attempt, now_s)
        if attempt is None or not _is_wanted(attempt):
            for wanted in self._wanted.values():
                wanted.pop(event.path, None)
            return
        if event.op == "created":
            if now_s >= self._quiet_s:
                self._placed(attempt, state)
            self._of(attempt)[attempt.path] = desired_path(*place_of(attempt.path))

    def _of(self, attempt: Node) -> dict[str, str]:
        return self._wanted.setdefault(attempt.links["job"][0], {})

    def _placed(self, attempt: Node, state: State) -> None:
        job, edge, others = (
            state.nodes.get(attempt.spec["job"]),
            desired_path(*place_of(attempt.path)),
            self._of(attempt),
        )
        if job is None:
            return
        arranged = (job.spec.get("placement") or {}).get("arrangement") or {}
        if arranged.get("chunks") == "apart" and edge in others.values():
            self._complain(f"{attempt.path} is beside another chunk of its job, and they are to be apart")
        most = job.spec.get("maxParallel")
        if most is not None and len(others) >= most:
            self._complain(f"{attempt.path} is placed beside {len(others)} others, and {most} are to be at a time")
        if job.spec.get("allOrNothing"):
            self._in_a_gang(attempt, job)

    def _stopped(self, attempt: Node, now_s: float) -> None:
        """For the sake of another job: so there is one that matters more, or was until just now."""
        least = attempt.spec.get("priority", PRIORITY_DEFAULT) + LEAST_MARGIN
        if now_s >= self._quiet_s and not any(
            priority >= least and (is_to_run or now_s < at_s + IN_FLIGHT_S)
            for priority, at_s, is_to_run in self._jobs.values()
        ):
            self._complain(f"{attempt.path} is stopped, and no job that is to run matters more")

    def _in_a_gang(self, attempt: Node, job: Node) -> None:
        """Its chunks are placed by one unit, so one right after the other."""
        claim = claim_of(attempt.path)
        if claim is None or claim.epoch != 1:
            return
        first = self._begun.setdefault(job.uid, attempt.created_version - claim.index)
        if attempt.created_version - claim.index != first:
            self._complain(f"{last_name(attempt.path)} comes {attempt.created_version - first} events after the first")


def _is_wanted(attempt: Node) -> bool:
    return attempt.phase not in ENDED and attempt.spec["intent"] == RUN
