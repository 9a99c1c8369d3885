"""The heap of everything that will happen: order, time, cancellation, and its bounds."""

import math
import random
from collections.abc import Callable

import pytest

from sim.world.universe import CANCELLED_KEPT, TICKS_PER_S, Livelock, Universe


def test_things_happen_in_order_of_time_and_then_as_they_were_asked_for() -> None:
    universe, seen = Universe(), list[str]()
    universe.at(2, seen.append, "c")
    universe.at(1, seen.append, "a")
    universe.at(2, seen.append, "d")
    universe.after(1, seen.append, "b")
    universe.run(2)
    assert seen == ["a", "b", "c", "d"]


def test_what_is_asked_for_now_comes_after_what_was_due_now_already() -> None:
    universe, seen = Universe(), list[str]()

    def first() -> None:
        seen.append("first")
        universe.at(universe.now_s, seen.append, "third")
        universe.soon(lambda: seen.append("fourth"))
        universe.at(0.5, seen.append, "fifth")  # has passed: now

    universe.at(1, first)
    universe.at(1, seen.append, "second")
    universe.run(1)
    assert seen == ["first", "second", "third", "fourth", "fifth"]
    assert universe.now_s == 1


def test_random_orders_are_kept() -> None:
    universe, choose = Universe(), random.Random(1)
    asked: list[tuple[float, int]] = []
    seen: list[tuple[float, int]] = []

    def happen(entry: tuple[float, int]) -> None:
        assert universe.now_s == entry[0]
        seen.append(entry)
        if len(asked) < 2000:
            ask()

    def ask() -> None:
        entry = (universe.now_s + choose.choice([0, 0, 0.25, 0.5, 1]), len(asked))
        asked.append(entry)
        universe.at(entry[0], happen, entry)

    for _ in range(20):
        ask()
    universe.run(10_000)
    assert seen == sorted(asked)


def test_time_goes_on_to_where_it_was_asked_to() -> None:
    universe, seen = Universe(), list[float]()
    universe.at(5, lambda: seen.append(universe.now_s))
    universe.run(4.5)
    assert (universe.now_s, seen) == (4.5, [])
    universe.run(5)
    assert (universe.now_s, seen) == (5, [5])
    with pytest.raises(ValueError, match="cannot run until 4 s"):
        universe.run(4)


@pytest.mark.parametrize("offset_s", [0, 4096, 777_777, 2**30])
def test_a_clock_with_an_offset_is_there_when_its_timer_is_due(offset_s: int) -> None:
    """Without whole ticks, a third of these fail."""
    choose = random.Random(offset_s)
    for _ in range(2000):
        universe = Universe()
        universe.run(choose.uniform(0, 1000))
        began_s, delay_s = universe.now_s + offset_s, choose.choice([0.1, 0.3, 1 / 3, 2.0, 0.7])
        deadline_s = began_s + delay_s
        due: list[float] = []
        universe.at(deadline_s - offset_s, lambda universe=universe, due=due: due.append(universe.now_s + offset_s))
        universe.run(2000)
        assert due[0] >= deadline_s
        assert due[0] - began_s >= delay_s
        assert due[0] - began_s < delay_s + 2 / TICKS_PER_S


def test_a_delay_that_is_almost_none_still_lets_time_pass() -> None:
    universe = Universe()
    universe.run(1000)
    seen: list[float] = []
    universe.after(1e-18, lambda: seen.append(universe.now_s))
    universe.after(1e-9, lambda: seen.append(universe.now_s))
    universe.run(1001)
    assert seen == [1000, 1000 + 1 / TICKS_PER_S]


def test_never_is_a_time_and_nan_is_none() -> None:
    universe = Universe()
    universe.at(math.inf, pytest.fail)
    universe.run(1e6)
    with pytest.raises(ValueError, match="not a number"):
        universe.at(math.nan, pytest.fail)


def test_what_is_cancelled_does_not_happen() -> None:
    universe, seen = Universe(), list[str]()
    later = universe.at(1, seen.append, "later")
    at_once = universe.at(0, seen.append, "at once")
    kept = universe.at(1, seen.append, "kept")
    universe.at(0, at_once.cancel)
    at_once.cancel()
    universe.at(0.5, later.cancel)
    universe.run(1)
    kept.cancel()  # has happened: nothing to do
    assert seen == ["kept"]
    assert later.over
    assert kept.over


def test_cancelled_happenings_do_not_pile_up() -> None:
    universe, seen = Universe(), list[int]()
    for number in range(50):
        universe.at(100 + number, seen.append, number)
    for _ in range(10_000):
        universe.at(3600, pytest.fail).cancel()
        assert len(universe._heap) <= 2 * 50 + 2 * CANCELLED_KEPT
    universe.run(3600)
    assert seen == list(range(50))


def test_a_condition_is_looked_at_after_every_happening() -> None:
    universe, seen = Universe(), list[int]()
    for number in range(5):
        universe.at(1, seen.append, number)
    assert universe.run_until(lambda: len(seen) == 2, 10)
    assert (seen, universe.now_s) == ([0, 1], 1)
    assert universe.run_until(lambda: True, 10)
    assert seen == [0, 1], "it held already"
    assert not universe.run_until(lambda: len(seen) == 6, 10)
    assert (seen, universe.now_s, universe.steps) == ([0, 1, 2, 3, 4], 10, 5)


def test_what_a_happening_raises_comes_out_and_the_rest_can_go_on() -> None:
    universe, seen = Universe(), list[str]()

    def fail() -> None:
        raise LookupError("planted")

    universe.at(1, fail)
    universe.at(1, seen.append, "after it")
    with pytest.raises(LookupError, match="planted"):
        universe.run(2)
    assert (universe.now_s, seen) == (1, [])
    universe.run(2)
    assert seen == ["after it"]


def test_a_happening_cannot_run_the_universe() -> None:
    universe = Universe()
    universe.at(1, universe.run, 2)
    with pytest.raises(RuntimeError, match="runs already"):
        universe.run(3)


def test_what_goes_on_for_ever_at_one_instant_is_named() -> None:
    universe = Universe(steps_at_one_instant=5000)

    def chase(tail: Callable[[], object]) -> None:
        universe.soon(tail)

    def spin() -> None:
        chase(spin)

    def rarely() -> None:
        universe.after(10, rarely)

    rarely()
    universe.at(30, spin)
    with pytest.raises(Livelock, match=r"5000 steps at 30\.000000 s; of the last 1000: .*spin \(1000 times\)"):
        universe.run(60)


def test_many_steps_at_one_instant_that_end_are_no_livelock() -> None:
    universe, seen = Universe(steps_at_one_instant=1000), list[int]()
    for instant in (1, 2, 3):
        for number in range(1000):
            universe.at(instant, seen.append, number)
    universe.run(3)
    assert len(seen) == 3000
