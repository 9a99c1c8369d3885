"""With how much power placement counts where edges say what they expect."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.pool import Pool
from datamodel.scheduling.edges import Edge
from datamodel.scheduling.forecasts import FORECAST_LIMIT, Foresight
from reconcilers.planning.forecasts import Forecasts
from tests.graph import edge_spec

NOW = datetime(2030, 1, 1, tzinfo=UTC)
POOL = Pool({"cpu": 1_000, "power": 100_000}, {"power": 30_000})


def expects(*points: tuple[float, float]) -> dict[str, Any]:
    forecast = [{"at": (NOW + timedelta(seconds=at_s)).isoformat(), "powerW": watts} for at_s, watts in points]
    return normal_spec(Edge, {**edge_spec(), "forecast": forecast})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("horizon_s", "free"),
    [(None, 70_000), (59.0, 70_000), (60.0, 50_000), (120.0, -10_000), (500.0, -10_000)],
)
def test_no_more_is_counted_on_than_the_least_within_the_horizon(horizon_s: float | None, free: int) -> None:
    spec = expects((60, 80), (120, 20), (400, 500))
    assert Foresight(horizon_s, NOW).counted_on(spec, POOL).free == {"cpu": 1_000, "power": free}


def test_what_is_over_says_nothing_more() -> None:
    spec = expects((60, 20))
    assert Foresight(100.0, NOW + timedelta(seconds=60)).counted_on(spec, POOL) == POOL
    assert Foresight(100.0, NOW).counted_on(normal_spec(Edge, edge_spec()), POOL) == POOL


def test_more_than_there_is_now_is_not_counted_on() -> None:
    assert Foresight(100.0, NOW).counted_on(expects((10, 400)), POOL) == POOL


def test_edges_are_looked_at_again_when_time_alone_changes_something() -> None:
    clock = Clock()
    forecasts = Forecasts(60.0, clock)
    forecasts.put("e", expects((100, 20)))
    forecasts.put("f", expects())
    assert forecasts.counted_on("e", POOL) == POOL
    assert (forecasts.rest_s(), forecasts.due()) == (40.0, set())
    clock.now += timedelta(seconds=40)
    assert forecasts.due() == {"e"}
    assert forecasts.rest_s() is None, "whoever looks at it puts it anew"
    forecasts.put("e", expects((100, 20)))
    assert forecasts.counted_on("e", POOL).free["power"] == -10_000
    clock.now += timedelta(seconds=60)
    assert forecasts.due() == {"e"}
    forecasts.put("e", expects((100, 20)))
    assert forecasts.counted_on("e", POOL) == POOL
    assert forecasts.rest_s() is None


def test_what_is_dropped_is_not_looked_at_again() -> None:
    clock = Clock()
    forecasts = Forecasts(60.0, clock)
    forecasts.put("e", expects((10, 20)))
    forecasts.drop("e")
    assert forecasts.counted_on("e", POOL) == POOL
    clock.now += timedelta(seconds=1_000)
    assert (forecasts.due(), forecasts.rest_s()) == (set(), None)


def test_who_does_not_look_ahead_remembers_nothing() -> None:
    forecasts = Forecasts(None, Clock())
    forecasts.put("e", expects((10, 20)))
    assert forecasts.counted_on("e", POOL) == POOL
    assert forecasts.rest_s() is None


@given(
    st.dictionaries(st.integers(1, 200), st.integers(0, 150), max_size=6),
    st.sampled_from([30.0, 60.0]),
    st.lists(st.integers(1, 50), max_size=8),
)
def test_what_it_remembers_is_what_it_would_find(points: dict[int, int], horizon_s: float, steps: list[int]) -> None:
    """However time passes, where what is due is put anew."""
    spec, clock = expects(*sorted(points.items())), Clock()
    forecasts = Forecasts(horizon_s, clock)
    forecasts.put("e", spec)
    for step in steps:
        clock.now += timedelta(seconds=step)
        for path in forecasts.due():
            forecasts.put(path, spec)
        assert forecasts.counted_on("e", POOL) == Foresight(horizon_s, clock.now).counted_on(spec, POOL)


@pytest.mark.parametrize(
    "forecast",
    [
        [{"at": "2030-01-01T00:00:00Z", "powerW": -1}],
        [{"at": "2030-01-01T00:00:00", "powerW": 1}],
        [{"at": 5, "powerW": 1}],
        [{"at": f"2030-01-01T00:0{minute}:00Z", "powerW": 1} for minute in (1, 0)],
        [{"at": (NOW + timedelta(seconds=s)).isoformat(), "powerW": 1} for s in range(FORECAST_LIMIT + 1)],
    ],
)
def test_what_is_no_forecast_is_refused(forecast: list[dict[str, Any]]) -> None:
    with pytest.raises(Invalid) as raised:
        normal_spec(Edge, {**edge_spec(), "forecast": forecast})
    assert raised.value.field.startswith("/spec/forecast")


def test_the_scheduler_says_how_far() -> None:
    scheduler = Node(
        "/config/scheduler", "1" * 32, "Scheduler", {}, {"forecastHorizonS": 5.0}, {}, {}, (), 1, 1, 1, NOW
    )
    assert Foresight.of(scheduler, NOW) == Foresight(5.0, NOW)
    assert Foresight.of(None, NOW) == Foresight(None, NOW)
