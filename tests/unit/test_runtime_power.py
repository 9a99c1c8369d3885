"""The watt-second model: power is shared by weight, and no watt-second is lost or given twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.power import LEVELS_W, PERIOD_S, Drain, available_w, next_draw_s

works = st.floats(0.001, 1000.0)
weights = st.floats(0.1, 100.0)
gaps = st.floats(0.0, 50.0)


def drained_at(drain: Drain) -> dict[str, float]:
    ends: dict[str, float] = {}
    while (end_s := drain.next_end_s()) is not None:
        for name in drain.advance(end_s):
            ends[name] = end_s
    return ends


def test_one_alone_takes_its_work_over_the_power() -> None:
    drain = Drain(power_w=5.0, now_s=100.0)
    drain.join("a", 20.0, 1.0)
    assert drained_at(drain) == {"a": 104.0}


def test_power_is_shared_by_weight_and_what_ends_leaves_its_share() -> None:
    drain = Drain(power_w=10.0, now_s=0.0)
    drain.join("light", 10.0, 1.0)
    drain.join("heavy", 10.0, 3.0)
    # 7.5 W drain the heavy one in 4/3 s; the light one has 20/3 Ws left then, and all of the power.
    assert drained_at(drain) == pytest.approx({"heavy": 4 / 3, "light": 2.0})


def test_one_that_leaves_gives_its_share_back() -> None:
    drain = Drain(power_w=10.0, now_s=0.0)
    drain.join("a", 10.0, 1.0)
    drain.join("b", 10.0, 1.0)
    assert drain.advance(1.0) == []
    drain.leave("b")
    assert drained_at(drain) == {"a": 1.5}


def test_a_late_look_is_as_exact_as_one_in_time() -> None:
    drain = Drain(power_w=10.0, now_s=0.0)
    drain.join("short", 5.0, 1.0)
    drain.join("long", 20.0, 1.0)
    assert drain.advance(2.0) == ["short"]
    assert drain.percent("long", 2.0) == pytest.approx(75.0)


@given(st.lists(st.tuples(works, weights, gaps), min_size=1, max_size=20), st.sampled_from(LEVELS_W))
def test_as_many_watt_seconds_are_granted_as_are_drained(
    chunks: list[tuple[float, float, float]], power_w: float
) -> None:
    drain, now_s, busy_s, ends = Drain(power_w=power_w, now_s=0.0), 0.0, 0.0, 0
    for index, (work_ws, weight, gap_s) in enumerate(chunks):
        drain.join(str(index), work_ws, weight)
        until_s = now_s + gap_s
        while (end_s := drain.next_end_s()) is not None and end_s <= until_s:
            busy_s, now_s = busy_s + end_s - now_s, end_s
            ends += len(drain.advance(now_s))
        if end_s is not None:
            busy_s += until_s - now_s
        now_s = until_s
        ends += len(drain.advance(now_s))
    while (end_s := drain.next_end_s()) is not None:
        busy_s, now_s = busy_s + end_s - now_s, end_s
        ends += len(drain.advance(now_s))
    assert ends == len(chunks)
    assert busy_s * power_w == pytest.approx(sum(work_ws for work_ws, _, _ in chunks), rel=1e-6, abs=1e-6)


@given(works, weights, st.lists(st.floats(0.0, 1.0), min_size=2, max_size=10))
def test_percent_only_rises(work_ws: float, weight: float, fractions: list[float]) -> None:
    drain = Drain(power_w=22.0, now_s=0.0)
    drain.join("a", work_ws, weight)
    end_s = drain.next_end_s()
    assert end_s is not None
    percents = [drain.percent("a", fraction * end_s) for fraction in sorted(fractions)]
    assert percents == sorted(percents)
    assert 0.0 <= percents[0] <= percents[-1] <= 100.0


@given(st.integers(0, 2**31), st.text(min_size=1), st.floats(0.0, 1e7))
def test_available_power_holds_until_it_is_drawn_anew(seed: int, edge: str, at_s: float) -> None:
    power_w, draw_s = available_w(seed, edge, at_s), next_draw_s(edge, at_s)
    assert power_w in LEVELS_W
    assert at_s < draw_s <= at_s + PERIOD_S * 1.000001
    assert available_w(seed, edge, at_s + (draw_s - at_s) * 0.99) == power_w


def test_every_level_is_drawn() -> None:
    assert {available_w(1, "edge", period * PERIOD_S) for period in range(100)} == set(LEVELS_W)
