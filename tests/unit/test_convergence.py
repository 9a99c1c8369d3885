"""What an agent does next: the cases, and that it always comes to rest without losing an end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.convergence import (
    Action,
    Desired,
    Remove,
    Reported,
    ReportEnd,
    ReportRunning,
    StartStep,
    Stop,
    Wait,
    converge,
    percent_of,
)
from agents.runtimes.protocol import Limits, Observed, Step, StepState, Work
from agents.runtimes.reasons import TIMED_OUT
from datamodel.scheduling.attempts import ABANDON, ENDED, RUN, STOP

WORK = Work("s", "e", "a", (Step("one", "image"), Step("two", "image")), {})
RUNNING = StepState("running", 1.0)
DONE = StepState("exited", 1.0, 2.0, exit_code=0)
FAILED = StepState("exited", 1.0, 2.0, exit_code=3)
KILLED = StepState("exited", 1.0, 2.0, exit_code=137, reason="OutOfMemory", message="too much")
VANISHED = StepState("vanished", 1.0)


def desired(intent: str = RUN, phase: str = "pending") -> Desired:
    return Desired(WORK, intent, phase, uid="mine")


def observed(*steps: StepState, percent: float = 0.0, uid: str = "mine") -> Observed:
    return Observed("s", "e", "a", steps, percent, uid)


CASES: list[tuple[Desired | None, Observed | None, Reported, Action]] = [
    # wanted, and as it should be
    (desired(), None, "nothing", StartStep(0)),
    (desired(), observed(), "nothing", StartStep(0)),
    (desired(), observed(RUNNING), "nothing", ReportRunning(0.0, 0)),
    (desired(), observed(RUNNING, percent=50.0), "running", ReportRunning(25.0, 0)),
    (desired(phase="running"), observed(DONE), "running", StartStep(1)),
    (desired(phase="running"), observed(DONE, RUNNING), "running", ReportRunning(50.0, 1)),
    (desired(phase="running"), observed(DONE, DONE), "running", ReportEnd("succeeded", (0, 0))),
    # it fails, or nobody knows how it ended
    (desired(), observed(FAILED), "running", ReportEnd("failed", (3,), "NonZeroExit", "exit code 3")),
    (desired(), observed(DONE, KILLED), "running", ReportEnd("failed", (0, 137), "OutOfMemory", "too much")),
    (desired(), observed(DONE, VANISHED), "running", ReportEnd("interrupted", (0,), "Vanished")),
    (desired(), None, "running", ReportEnd("interrupted", (), "Vanished", "nothing of it is left on the edge")),
    (
        desired(phase="running"),
        None,
        "nothing",
        ReportEnd("interrupted", (), "Vanished", "nothing of it is left on the edge"),
    ),
    # not wanted any more
    (desired(STOP), None, "nothing", ReportEnd("stopped", (), "NotStarted")),
    (desired(ABANDON), observed(RUNNING), "running", Stop()),
    (desired(STOP), observed(DONE), "running", ReportEnd("stopped", (), "Stopped")),
    (desired(STOP), observed(FAILED), "running", ReportEnd("stopped", (3,), "Stopped")),
    (desired(STOP), observed(DONE, DONE), "running", ReportEnd("succeeded", (0, 0))),
    # nothing but the cleaning up is left
    (desired(), observed(DONE, DONE), "ended", Remove()),
    (desired(), observed(DONE, RUNNING), "ended", Stop()),
    (desired(), None, "ended", Wait()),
    (desired(phase="succeeded"), observed(DONE, DONE), "nothing", Remove()),
    (desired(phase="interrupted"), observed(RUNNING), "nothing", Stop()),
    (None, observed(RUNNING), "running", Stop()),
    (None, observed(DONE), "nothing", Remove()),
    (None, None, "nothing", Wait()),
    # what is found was made for another node of this name, or nobody can say for which
    (desired(), observed(RUNNING, uid="another's"), "nothing", Stop()),
    (desired(), observed(KILLED, uid="another's"), "nothing", Remove()),
    (desired(), observed(uid="another's"), "nothing", Remove()),
    (desired(STOP), observed(DONE, DONE, uid="another's"), "nothing", Remove()),
    (desired(), observed(RUNNING, uid=""), "nothing", ReportRunning(0.0, 0)),
]


@pytest.mark.parametrize(("wanted", "found", "reported", "action"), CASES)
def test_the_next_action(wanted: Desired | None, found: Observed | None, reported: Reported, action: Action) -> None:
    assert converge(wanted, found, reported) == action


LIMITED = replace(desired(), work=replace(WORK, limits=Limits(timeout_s=60.0)))
STUBBORN = StepState("exited", 1.0, 2.0, exit_code=137)


@pytest.mark.parametrize(
    ("wanted", "found", "reported", "action"),
    [
        (LIMITED, observed(DONE, RUNNING), "running", Stop()),
        (LIMITED, observed(DONE, FAILED), "running", ReportEnd("failed", (0, 3), TIMED_OUT, "it ran longer than 60 s")),
        (LIMITED, observed(DONE), "running", ReportEnd("failed", (0,), TIMED_OUT, "it ran longer than 60 s")),
        (
            LIMITED,
            observed(STUBBORN),
            "running",
            ReportEnd("failed", (137,), TIMED_OUT, "it ran longer than 60 s; it ignored TERM and was killed"),
        ),
        (LIMITED, observed(VANISHED), "running", ReportEnd("interrupted", (), "Vanished")),
        (LIMITED, observed(DONE), "ended", Remove()),
        (replace(LIMITED, intent=STOP), observed(RUNNING), "running", Stop()),
        (replace(LIMITED, intent=STOP), observed(FAILED), "running", ReportEnd("stopped", (3,), "Stopped")),
    ],
)
def test_what_ran_too_long_is_stopped_and_has_failed(
    wanted: Desired, found: Observed, reported: Reported, action: Action
) -> None:
    assert converge(wanted, found, reported, overdue=True) == action


FORGIVING = replace(desired(), work=replace(WORK, steps=tuple(replace(s, continue_on_error=True) for s in WORK.steps)))


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (observed(FAILED), StartStep(1)),
        (observed(FAILED, FAILED), ReportEnd("succeeded", (3, 3))),
        (observed(FAILED, RUNNING), ReportRunning(50.0, 1)),
        (observed(KILLED), ReportEnd("failed", (137,), "OutOfMemory", "too much")),
        (observed(VANISHED), ReportEnd("interrupted", (), "Vanished")),
    ],
)
def test_after_a_failure_it_goes_on_where_the_step_says_so(found: Observed, action: Action) -> None:
    assert converge(FORGIVING, found, "running") == action


IGNORING = replace(desired(), work=replace(WORK, steps=tuple(replace(s, ignored=(2, 3)) for s in WORK.steps)))


@pytest.mark.parametrize(
    ("found", "action"),
    [
        (observed(FAILED), StartStep(1)),
        (observed(FAILED, FAILED), ReportEnd("succeeded", (3, 3))),
        (observed(replace(FAILED, exit_code=4)), ReportEnd("failed", (4,), "NonZeroExit", "exit code 4")),
        (observed(KILLED), ReportEnd("failed", (137,), "OutOfMemory", "too much")),
    ],
)
def test_an_exit_code_that_is_ignored_is_no_failure(found: Observed, action: Action) -> None:
    assert converge(IGNORING, found, "running") == action


def test_who_ignored_term_is_told_of() -> None:
    end = ReportEnd("stopped", (137,), "Stopped", "it ignored TERM and was killed")
    assert converge(desired(STOP), observed(STUBBORN), "running") == end


def test_all_steps_weigh_the_same() -> None:
    assert percent_of(desired(), observed(RUNNING, percent=50.0)) == 25.0
    assert percent_of(desired(), observed(DONE, RUNNING, percent=50.0)) == 75.0
    assert percent_of(desired(), observed(DONE, DONE, percent=100.0)) == 100.0


steps = st.sampled_from(
    [(), (RUNNING,), (DONE,), (FAILED,), (VANISHED,), (DONE, RUNNING), (DONE, DONE), (DONE, KILLED)]
)
worlds = st.none() | st.builds(
    lambda found, uid: observed(*found, uid=uid), steps, st.sampled_from(["mine", "another's"])
)
wishes = st.none() | st.builds(
    desired, st.sampled_from([RUN, STOP, ABANDON]), st.sampled_from(["pending", "running", *sorted(ENDED)])
)


class World:
    """One attempt at an engine that does what it is told."""

    def __init__(
        self, wanted: Desired | None, found: Observed | None, reported: Reported, ends: list[StepState]
    ) -> None:
        self.wanted, self.found, self.reported, self.ends = wanted, found, reported, ends
        self.told_end: ReportEnd | None = None

    def do(self, action: Action) -> None:
        match action:
            case StartStep(index):
                before = self.found.steps if self.found is not None else ()
                assert index == len(before) < len(WORK.steps), "steps run in order, each once"
                self.found = observed(*before, RUNNING)
            case Stop():
                self.end_with(StepState("exited", 1.0, 2.0, exit_code=143))
            case Remove():
                wanted = self.wanted is not None and self.wanted.phase not in ENDED
                is_mine = self.found is not None and self.found.uid == "mine"
                assert not (wanted and is_mine) or self.reported == "ended", (
                    "nothing is removed before its end is reported"
                )
                self.found = None
            case ReportRunning():
                self.reported = "running"
                self.end_with(self.ends.pop() if self.ends else DONE)
            case ReportEnd():
                assert self.told_end is None, "an end is told once"
                self.told_end, self.reported = action, "ended"

    def end_with(self, end: StepState) -> None:
        assert self.found is not None
        assert self.found.steps[-1].phase == "running"
        self.found = replace(self.found, steps=(*self.found.steps[:-1], end))


@given(
    wishes,
    worlds,
    st.sampled_from(["nothing", "running", "ended"]),
    st.lists(st.sampled_from([DONE, FAILED, KILLED, VANISHED])),
    st.integers(0, 12),
)
def test_doing_what_it_says_always_comes_to_rest(
    wanted: Desired | None, found: Observed | None, reported: Any, ends: list[StepState], overdue_at: int
) -> None:
    world = World(wanted, found, reported, ends)
    for turn in range(12):
        action = converge(world.wanted, world.found, world.reported, overdue=turn >= overdue_at)
        if isinstance(action, Wait):
            break
        world.do(action)
    else:
        pytest.fail("it does not come to rest")
    assert world.found is None
    if wanted is not None and wanted.phase not in ENDED:
        assert world.reported == "ended"
