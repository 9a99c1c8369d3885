"""Rolling a job's ledger up into its status."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from msgspec import structs

from datamodel.kinds import Document
from datamodel.ledger import Totals
from datamodel.node import Node
from datamodel.scheduling.attempts import PLACED
from datamodel.scheduling.beginning import is_held
from datamodel.scheduling.counts import RETRYING, chunk_counts, is_halted
from datamodel.scheduling.ending import ENOUGH_SUCCEEDED, is_ending
from datamodel.scheduling.jobs import ABORTED, FAILED, FINISHED, PENDING, RUN, RUNNING, SUCCEEDED, SUSPEND
from datamodel.scheduling.splitting import chunks_of
from datamodel.scheduling.waiting import CONDITION, told_of, waits
from reconcilers.planning.callbacks import noted
from reconcilers.planning.contact import CONDITION as UNHEARD
from reconcilers.planning.failing import NO_FAILURES, Failures, why_failed

OUTPUTS_LIMIT_BYTES = 64 * 1024
GATES = ("inputs", "after", "readyAt")
"""What others have found out of when it may begin."""
_HELD = {
    True: ("WaitingForInputs", "jobs that it has inputs of have not succeeded yet"),
    False: ("WaitingForStart", "jobs that it comes after have not ended yet, or it is not time yet"),
}
"""By whether it waits for inputs."""


@dataclass(slots=True)
class Reduction:
    """A job's outputs as its chunks' outputs come in, in order of index: one reduction for each declared name.

    `sum` adds numbers, `collect` lists the values, `merge` joins objects (a later chunk's member wins). Values that do not
    fit their reduction are left out and named in `problems`, as is what not all chunks have left.
    """

    declared: Mapping[str, str]
    outputs: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    chunks: int = 0
    _left: Counter[str] = field(default_factory=Counter)
    """How many of the chunks have left each."""

    def add(self, index: int, outputs: Mapping[str, Any]) -> None:
        self.chunks += 1
        for name, how in self.declared.items():
            if name in outputs:
                self._left[name] += 1
                self._reduce(index, name, how, outputs[name])

    def _reduce(self, index: int, name: str, how: str, value: Any) -> None:
        if how == "collect":
            self.outputs.setdefault(name, []).append(value)
        elif how == "sum" and (total := _sum(self.outputs.get(name, 0), value)) is not None:
            self.outputs[name] = total
        elif how == "merge" and isinstance(value, dict):
            self.outputs.setdefault(name, {}).update(value)
        elif len(self.problems) < 10:
            self.problems.append(f"chunk {index}: {name} cannot be reduced by {how}")

    def result(self) -> dict[str, Any]:
        """What was reduced; nothing, and a problem more, where it is too large for a node."""
        for name in self.declared:
            if self._left[name] < self.chunks:
                self.problems.append(f"{self._left[name]} of {self.chunks} chunks have left {name}")
        size = len(msgspec.json.encode(self.outputs))
        if size > OUTPUTS_LIMIT_BYTES:
            self.problems.append(f"the outputs are {size} bytes; a job keeps at most {OUTPUTS_LIMIT_BYTES}")
            return {}
        return self.outputs


def _sum(before: float, value: Any) -> float | None:
    """None where the value is no number, or the sum is beyond what JSON's numbers are read as."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        total = before + value
    except OverflowError:  # of a float and an integer beyond all floats
        return None
    return total if isinstance(total, int) or math.isfinite(total) else None


def phase_of(job: Node, totals: Totals, *, has_failed: bool, allowed: int = 0) -> str:
    """The job's phase, `has_failed`: by chunks that are not tried again; `allowed` chunks are not, as its completion lets them.
    What is to end does once nothing of it is in flight any more. One that had failed goes on only where that is not so any
    more, and somebody wants it."""
    before, counts = job.phase or PENDING, totals.phases
    is_wanted = job.spec.get("intent", RUN) == RUN and job.deletion_requested_at is None
    if before in {SUCCEEDED, ABORTED}:
        return before
    if before == FAILED:
        goes_on = RUNNING if totals.entries else PENDING
        return goes_on if is_wanted and not has_failed else FAILED
    in_flight = counts.get(PLACED, 0) + counts.get(RUNNING, 0)
    if counts.get(SUCCEEDED, 0) + allowed == chunks_of(job):
        return SUCCEEDED
    if is_ending(job) and not in_flight:  # once it is told there: what is being placed just now is seen, and stopped
        phase: str = job.status["ending"]["phase"]
        return phase
    if has_failed and not in_flight:
        return FAILED
    if is_halted(job) and not in_flight:
        return ABORTED
    begun = totals.entries - counts.get(PLACED, 0)
    return RUNNING if before == RUNNING or begun else PENDING


def ending_of(job: Node, totals: Totals) -> Document | None:
    """How it was decided that the job ends, though chunks of it have not; now, where enough of them have succeeded."""
    ending: Document | None = job.status.get("ending")
    enough = job.spec.get("completion", {}).get("succeedAfter")
    succeeded = totals.phases.get(SUCCEEDED, 0)
    if ending is None and enough is not None and succeeded >= enough:
        message = f"{succeeded} of {chunks_of(job)} chunks have succeeded, and {enough} are enough"
        return {"phase": SUCCEEDED, "reason": ENOUGH_SUCCEEDED, "message": message}
    return ending


def rollup(
    job: Node,
    totals: Totals,
    phase: str,
    reduction: Reduction | None,
    now: datetime,
    failures: Failures = NO_FAILURES,
) -> Document:
    """The status that follows from the ledger, in a phase. `reduction` is there once the job succeeded. Times and transitions
    that have been set are kept, so that an unchanged ledger gives an unchanged status. `failures` are what has failed."""
    before = job.status
    counts = chunk_counts(job, phase, totals)
    status: Document = {
        "phase": phase,
        "observedGeneration": job.generation,
        "percentCompleted": round(totals.progress / (10 * chunks_of(job)), 1),
        "chunks": counts,
    }
    if phase != PENDING:
        status["startedAt"] = before.get("startedAt") or now.isoformat()
    if phase in FINISHED:
        status["finishedAt"] = before.get("finishedAt") or now.isoformat()
    if reduction is not None:
        status["outputs"] = reduction.result()
    status |= {name: before[name] for name in (*GATES, "split", "queued", "retried") if name in before}
    ending = ending_of(job, totals)
    if job.phase == FAILED and phase != FAILED:
        status["retried"] = {"at": now.isoformat(), "failures": failures.all}
    elif ending is not None and (phase not in FINISHED or phase == ending["phase"]):
        status["ending"] = ending
    if notices := noted(job, status, now):
        status["callbacks"] = notices
    known = _still_told(job, status, before.get("conditions", ()))
    if phase in FINISHED:
        known = [condition for condition in known if condition["type"] != UNHEARD]
    status["conditions"] = conditions(known, _aspects(job, status, reduction, failures), now)
    return status


def _still_told(job: Node, status: Document, known: Sequence[Document]) -> Sequence[Document]:
    """The conditions but for why nothing more of the job is placed, once it does not wait for that any more: who wrote it does
    not look at it then."""
    if told_of(known) is None:
        return known
    counts, now = status["chunks"], structs.replace(job, status=status)
    waiting = counts.get(PENDING, 0) + counts.get(RETRYING, 0)
    if waits(now, now.phase, waiting, counts.get(PLACED, 0) + counts.get(RUNNING, 0)):
        return known
    return [condition for condition in known if condition["type"] != CONDITION]


def conditions(
    before: Iterable[Document], aspects: Iterable[tuple[str, str, str, str]], now: datetime
) -> list[Document]:
    """The conditions that were, but for those of the types of `aspects` (type, status, reason, message), which take their
    place: each of them since its status has changed."""
    known = {condition["type"]: condition for condition in before}
    for kind, status, reason, message in aspects:
        was = known.get(kind, {})
        since = was["lastTransitionTime"] if was.get("status") == status else now.isoformat()
        known[kind] = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
        }
    return list(known.values())


def _aspects(
    job: Node, status: Document, reduction: Reduction | None, failures: Failures
) -> Iterable[tuple[str, str, str, str]]:
    counts, phase, ending = status["chunks"], status["phase"], status.get("ending")
    waiting = counts.get(PENDING, 0) + counts.get(RETRYING, 0)
    if phase in FINISHED:
        yield "Complete", "True", *_end(job, phase, counts, failures, ending)
    elif ending is not None:
        yield "Complete", "False", ending["reason"], ending["message"]
    elif job.spec.get("intent") == SUSPEND:
        yield "Complete", "False", "Suspended", "nothing of it runs until it is resumed"
    elif is_held(job):
        reason, message = _HELD["inputs" in job.spec and "inputs" not in job.status]
        yield "Complete", "False", reason, message
    elif waiting:
        yield "Complete", "False", "Waiting", "some chunks wait for free capacity"
    else:
        yield "Complete", "False", "Placed", ""
    if reduction is not None and reduction.problems:
        yield "OutputsReduced", "False", "Incomplete", "; ".join(reduction.problems)


def _end(
    job: Node, phase: str, counts: Mapping[str, int], failures: Failures, ending: Document | None
) -> tuple[str, str]:
    """The reason and the message of a job that has ended."""
    if phase == SUCCEEDED:
        failed = counts.get(FAILED, 0)
        allowed = f"{failed} of {chunks_of(job)} chunks failed, as allowed" if failed else ""
        return "Succeeded", "; ".join(filter(None, (ending["message"] if ending else "", allowed)))
    if phase == FAILED:
        if ending is not None:
            return ending["reason"], ending["message"]
        return why_failed(job, failures) or ("Failed", "")
    return phase.capitalize(), ""
