"""What to do next for one attempt: a pure function of what is wanted, what is found, and what was reported."""

from typing import Literal

import msgspec

from agents.runtimes.protocol import Observed, StepState, Work
from agents.runtimes.reasons import LEASE_OVER, TIMED_OUT
from datamodel.scheduling.attempts import ENDED, RUN
from datamodel.scheduling.retrying import NON_ZERO_EXIT
from datamodel.scheduling.wire import KeptArtifact

_KILLED_CODE = 137

Reported = Literal["nothing", "running", "ended"]
"""How far the attempt's story is in the outbox."""


class Desired(msgspec.Struct, frozen=True):
    """What the graph says: the intent, and the phase that the hub has settled. `generation` is of the spec that the work and
    the intent are from, `uid` the node's: after the hub's database was put back, another one may have its name."""

    work: Work
    intent: str
    phase: str
    generation: int = 0
    uid: str = ""

    @property
    def begun(self) -> bool:
        """The hub knows of a beginning, or asks for none any more."""
        return self.phase == "running" or self.phase in ENDED or self.intent != RUN

    def left_by_another(self, observed: Observed | None) -> bool:
        """Whether what is found was made for another node of this name: it may have been stopped since nobody wanted it, so how
        it ends says nothing of this one."""
        return observed is not None and observed.uid not in {"", self.uid}

    def asks_the_same(self, known: "Desired | None") -> bool:
        """Whether it says nothing new but how far the hub has settled what it was told."""
        return known is not None and known.generation == self.generation


class StartStep(msgspec.Struct, frozen=True):
    index: int


class Stop(msgspec.Struct, frozen=True):
    """Ends what runs."""


class Remove(msgspec.Struct, frozen=True):
    """Nothing of it is needed any more: its end is in the outbox or settled, or nobody wants it."""


class ReportRunning(msgspec.Struct, frozen=True):
    """It runs: `percent` of the whole sequence is done, in step `step`."""

    percent: float
    step: int


class ReportEnd(msgspec.Struct, frozen=True):
    """It ended. `succeeded` still depends on its result file, and on what it leaves: `artifacts` are at the hub."""

    phase: Literal["succeeded", "failed", "interrupted", "stopped"]
    exit_codes: tuple[int, ...] = ()
    reason: str = ""
    message: str = ""
    artifacts: tuple[KeptArtifact, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do until something changes."""


Action = StartStep | Stop | Remove | ReportRunning | ReportEnd | Wait


def converge(
    desired: Desired | None, observed: Observed | None, reported: Reported, *, overdue: bool = False
) -> Action:
    """The one next action. Called again after it was done, it gives the one after that, until it says `Wait`. `overdue`: it
    was found running beyond its limit of time, now or before."""
    running = observed is not None and any(step.phase == "running" for step in observed.steps)
    if desired is None or desired.phase in ENDED or reported == "ended" or desired.left_by_another(observed):
        if observed is None:
            return Wait()
        return Stop() if running else Remove()
    if desired.intent != RUN:
        return _wind_down(desired, observed)
    if observed is None or not observed.steps:
        if reported == "running" or desired.phase == "running":
            return ReportEnd("interrupted", reason="Vanished", message="nothing of it is left on the edge")
        return StartStep(0)
    return _go_on(desired, observed, overdue=overdue)


def percent_of(desired: Desired, observed: Observed) -> float:
    """How much of the whole sequence is done: every step counts the same, the running one by its own measure."""
    count = len(desired.work.steps)
    done = sum(step.phase == "exited" for step in observed.steps)
    share = (observed.percent or 0.0) / 100 if done < len(observed.steps) else 0.0
    return min(100.0, (done + share) * 100 / count)


def _go_on(desired: Desired, observed: Observed, *, overdue: bool) -> Action:
    last = observed.steps[-1]
    if last.phase == "running":
        return Stop() if overdue else ReportRunning(percent_of(desired, observed), len(observed.steps) - 1)
    if overdue and last.phase == "exited":
        return ReportEnd("failed", _codes(observed), TIMED_OUT, _timed_out(desired, last))
    return _after(desired, observed, last)


def _after(desired: Desired, observed: Observed, last: StepState) -> Action:
    codes = _codes(observed)
    if last.phase == "vanished":
        return ReportEnd("interrupted", codes, last.reason or "Vanished", last.message)
    if last.reason == LEASE_OVER:  # by its guard: where it goes on, the hub knows
        return ReportEnd("interrupted", codes, LEASE_OVER, "its lease was over")
    if last.reason or not _goes_on(desired, observed):
        return ReportEnd("failed", codes, last.reason or NON_ZERO_EXIT, last.message or f"exit code {last.exit_code}")
    if len(observed.steps) < len(desired.work.steps):
        return StartStep(len(observed.steps))
    return ReportEnd("succeeded", codes)


def _wind_down(desired: Desired, observed: Observed | None) -> Action:
    """It should not run any more. What ended by itself before it could be stopped is still told as it was."""
    if observed is None or not observed.steps:
        return ReportEnd("stopped", reason="NotStarted")
    if observed.steps[-1].phase == "running":
        return Stop()
    after = _after(desired, observed, observed.steps[-1])
    if isinstance(after, ReportEnd) and after.phase == "succeeded":
        return after
    codes = after.exit_codes if isinstance(after, ReportEnd) else ()
    return ReportEnd("stopped", codes, "Stopped", _by_kill(observed.steps[-1]))


def _goes_on(desired: Desired, observed: Observed) -> bool:
    return desired.work.steps[len(observed.steps) - 1].goes_on_after(observed.steps[-1].exit_code)


def _codes(observed: Observed) -> tuple[int, ...]:
    return tuple(step.exit_code for step in observed.steps if step.exit_code is not None)


def _timed_out(desired: Desired, last: StepState) -> str:
    limit = f"it ran longer than {desired.work.limits.timeout_s:g} s"
    return f"{limit}; {killed}" if (killed := _by_kill(last)) else limit


def _by_kill(last: StepState) -> str:
    return "it ignored TERM and was killed" if last.exit_code == _KILLED_CODE and not last.reason else ""
