"""What may not be placed: chunks before the end of their pause, those that are not tried again, jobs whose end is decided."""

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import NamedTuple

from datamodel.event import Event
from datamodel.kinds import Claim
from datamodel.node import Node
from datamodel.scheduling.attempts import RETRY, RUN, claim_of
from datamodel.scheduling.jobs import FAILED
from datamodel.scheduling.retrying import SPREAD
from datamodel.state import State
from sim.world.failing import refuses
from sim.world.process import EPOCH

PLACING_S = 40.0
"""For so long after a decision, what was decided before may still be placed: by then a replica that was paused with its own has
lost its lease, and a late request is over."""
ROUNDING_S = 0.01


class _Failure(NamedTuple):
    """Of a chunk's newest attempt: its epoch, when it may be followed by another, and, where no other may follow that was told
    of no more retries than it, how many that were."""

    epoch: int
    rests_until_s: float
    retries: int | None


class Rests:
    """Complains of what is placed too early, or at all. Where clocks of a world jump (`is_steady` is false), pauses are not
    measured: an end is told by its edge's clock."""

    def __init__(self, complain: Callable[[str], None], *, is_steady: bool) -> None:
        self._complain, self._is_steady = complain, is_steady
        self._failures: dict[Hashable, _Failure] = {}
        self._decided_s: dict[str, float] = {}

    def restored(self) -> None:
        """The database was put back."""
        self._failures.clear()
        self._decided_s.clear()

    def appended(self, event: Event, state: State, now_s: float) -> None:
        if event.kind == "Job" and event.op == "statusChanged":
            self._decide(event, now_s)
        elif event.kind == "Attempt" and (claim := claim_of(event.path)) is not None:
            if event.op == "created":
                self._placed(event, claim, now_s)
            elif event.op == "statusChanged" and event.part["status"].get("phase") == FAILED:
                self._failed(state.nodes.get(event.path), claim, state)

    def _decide(self, event: Event, now_s: float) -> None:
        if "ending" in event.part["status"]:
            self._decided_s.setdefault(event.uid, now_s)
        else:
            self._decided_s.pop(event.uid, None)

    def _failed(self, attempt: Node | None, claim: Claim, state: State) -> None:
        entry = state.entries.get((claim.owner, claim.index))
        job = state.nodes.get(attempt.spec["job"]) if attempt is not None else None
        if attempt is None or job is None or entry is None or entry.epoch != claim.epoch:
            return
        if attempt.spec["intent"] != RUN:
            return  # its chunk was given up before it failed, and may have been placed anew in the very same moment
        until_s = 0.0
        if entry.phase == RETRY and (first_s := job.spec.get("retryPolicy", {}).get("backoffS")):
            whole_s = min(first_s * 2.0 ** (entry.failures - 1), job.spec["retryPolicy"]["backoffMaxS"])
            ended = datetime.fromisoformat(attempt.status["finishedAt"])
            until_s = (ended - EPOCH).total_seconds() + whole_s * (1 - SPREAD) - ROUNDING_S
        retries = attempt.spec["retries"] if refuses(attempt) else None
        self._failures[claim.owner, claim.index] = _Failure(claim.epoch, until_s, retries)

    def _placed(self, event: Event, claim: Claim, now_s: float) -> None:
        decided_s = self._decided_s.get(claim.owner)
        if decided_s is not None and now_s - decided_s > PLACING_S:
            self._complain(f"{event.path} is placed, and it was decided how its job ends {now_s - decided_s:.0f} s ago")
        failure = self._failures.pop((claim.owner, claim.index), None)
        if failure is None or failure.epoch != claim.epoch - 1:
            return
        if self._is_steady and now_s < failure.rests_until_s:
            self._complain(f"{event.path} is placed {failure.rests_until_s - now_s:.2f} s before the end of its pause")
        if failure.retries is not None and event.part["spec"]["retries"] <= failure.retries:
            self._complain(f"{event.path} is placed at a chunk that an exit code has ended")
