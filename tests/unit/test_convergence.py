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
from agents.runtimes.protocol import Observed, Step, StepState, Work
from datamodel.scheduling.attempts import ABANDON, ENDED, RUN, STOP

WORK = Work("s", "e", "a", (Step("one", "image"), Step("two", "image")), {})
RUNNING = StepState("running", 1.0)
DONE = StepState("exited", 1.0, 2.0, exit_code=0)
FAILED = StepState("exited", 1.0, 2.0, exit_code=3)
KILLED = StepState("exited", 1.0, 2.0, exit_code=137, reason="OutOfMemory", message="too much")
VANISHED = StepState("vanished", 1.0)


def desired(intent: str = RUN, phase: str = "pending") -> Desired:
    return Desired(WORK, intent, phase)


def observed(*steps: StepState, percent: float = 0.0) -> Observed:
    return Observed("s", "e", "a", steps, percent)


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
]


@pytest.mark.parametrize(("wanted", "found", "reported", "action"), CASES)
def test_the_next_action(wanted: Desired | None, found: Observed | None, reported: Reported, action: Action) -> None:
    assert converge(wanted, found, reported) == action


def test_all_steps_weigh_the_same() -> None:
    assert percent_of(desired(), observed(RUNNING, percent=50.0)) == 25.0
    assert percent_of(desired(), observed(DONE, RUNNING, percent=50.0)) == 75.0
    assert percent_of(desired(), observed(DONE, DONE, percent=100.0)) == 100.0


steps = st.sampled_from(
    [(), (RUNNING,), (DONE,), (FAILED,), (VANISHED,), (DONE, RUNNING), (DONE, DONE), (DONE, KILLED)]
)
worlds = st.none() | steps.map(lambda found: observed(*found))
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
                assert not wanted or self.reported == "ended", "nothing is removed before its end is reported"
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
)
def test_doing_what_it_says_always_comes_to_rest(
    wanted: Desired | None, found: Observed | None, reported: Any, ends: list[StepState]
) -> None:
    world = World(wanted, found, reported, ends)
    for _ in range(12):
        action = converge(world.wanted, world.found, world.reported)
        if isinstance(action, Wait):
            break
        world.do(action)
    else:
        pytest.fail("it does not come to rest")
    assert world.found is None
    if wanted is not None and wanted.phase not in ENDED:
        assert world.reported == "ended"
