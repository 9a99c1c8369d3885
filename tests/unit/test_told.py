"""How long an attempt may still run, as its agent remembers it."""

import math

from msgspec.structs import replace

from agents.convergence import Desired
from agents.runtimes.protocol import Limits, Observed, Step, StepState, Work
from agents.told import Told

NOW_S, WALL_S = 1000.0, 5_000_000.0
LIMITED = Desired(Work("s", "e", "a", (Step("one", "i"),), {}, limits=Limits(timeout_s=60.0)), "run", "running")
FREE = Desired(Work("s", "e", "a", (Step("one", "i"),), {}), "run", "running")


def running(started_s: float = WALL_S) -> Observed:
    return Observed("s", "e", "a", (StepState("running", started_s),))


def test_it_counts_from_the_first_steps_start() -> None:
    told = Told()
    assert told.left_s(LIMITED, running(), NOW_S, WALL_S) == 60.0
    assert told.left_s(LIMITED, running(), NOW_S + 59, WALL_S + 59) == 1.0
    assert not told.overdue
    assert told.left_s(LIMITED, running(), NOW_S + 60, WALL_S + 60) == 0.0
    assert told.overdue


def test_what_is_adopted_has_run_before() -> None:
    told = Told()
    assert told.left_s(LIMITED, running(WALL_S - 50), NOW_S, WALL_S) == 10.0
    assert Told().left_s(LIMITED, running(WALL_S - 500), NOW_S, WALL_S) < 0


def test_a_clock_that_jumps_changes_nothing() -> None:
    told = Told()
    told.left_s(LIMITED, running(), NOW_S, WALL_S)
    for jump_s in (-3600.0, 3600.0):
        assert told.left_s(LIMITED, running(), NOW_S + 1, WALL_S + jump_s) == 59.0
    assert Told().left_s(LIMITED, running(WALL_S + 3600), NOW_S, WALL_S) == 60.0


def test_who_has_no_limit_or_does_not_run_is_never_overdue() -> None:
    told = Told()
    ended = Observed("s", "e", "a", (StepState("exited", WALL_S - 500, WALL_S, 0),))
    for desired, observed in ((FREE, running(0.0)), (LIMITED, ended), (LIMITED, None), (None, running(0.0))):
        assert told.left_s(desired, observed, NOW_S, WALL_S) == math.inf
    assert not told.overdue


def test_what_was_made_for_another_node_says_nothing_of_this_ones_time() -> None:
    told = Told()
    anothers = replace(running(WALL_S - 500), uid="another's")
    assert told.left_s(replace(LIMITED, uid="mine"), anothers, NOW_S, WALL_S) == math.inf
    assert not told.overdue
    assert told.left_s(replace(LIMITED, uid="mine"), running(), NOW_S, WALL_S) == 60.0


def test_once_overdue_it_stays_so() -> None:
    told = Told()
    told.left_s(LIMITED, running(WALL_S - 61), NOW_S, WALL_S)
    ended = Observed("s", "e", "a", (StepState("exited", WALL_S - 61, WALL_S, 143),))
    assert told.left_s(LIMITED, ended, NOW_S + 1, WALL_S + 1) == math.inf
    assert told.overdue
