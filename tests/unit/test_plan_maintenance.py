"""What an edge is used for at a moment, by what is asked of it and of its site."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.kinds import Kind
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.maintenance import WINDOWS_LIMIT
from datamodel.scheduling.service import EdgeConfig, SiteConfig, config_paths
from reconcilers.planning.maintenance import Standing, is_used, standing

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def node(kind: type[Kind], spec: dict[str, Any]) -> Node:
    above, path = config_paths("s", "e")
    return Node(
        path=path if kind is EdgeConfig else above,
        uid="1" * 32,
        kind=kind.__name__,
        labels={},
        spec=normal_spec(kind, spec),
        status={},
        links={},
        finalizers=(),
        generation=1,
        version=7,
        created_version=7,
        created_at=NOON,
    )


def edge(*windows: dict[str, Any], **spec: Any) -> Node:
    return node(EdgeConfig, {**spec, **({"maintenance": list(windows)} if windows else {})})


def site(*windows: dict[str, Any]) -> Node:
    return node(SiteConfig, {"maintenance": list(windows)} if windows else {})


def once(begin_s: float, end_s: float, **more: Any) -> dict[str, Any]:
    return {"begin": at(begin_s).isoformat(), "end": at(end_s).isoformat(), **more}


def daily(**more: Any) -> dict[str, Any]:
    """From noon on, for a minute."""
    return {"cron": "0 12 * * *", "durationS": 60, **more}


def test_of_which_nothing_is_asked_is_used() -> None:
    assert standing(None, None, NOON) == Standing("use")
    assert standing(edge(), site(), NOON) == Standing("use")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, Standing("use", again_s=1.0)),
        (0, Standing("cordon", until=at(60), again_s=60.0)),
        (59.5, Standing("cordon", until=at(60), again_s=0.5)),
        (60, Standing("use")),
    ],
)
@pytest.mark.parametrize("of_site", [True, False])
def test_a_window_begins_and_ends(seconds: float, expected: Standing, *, of_site: bool) -> None:
    window = once(0, 60)
    found = standing(None, site(window), at(seconds)) if of_site else standing(edge(window), None, at(seconds))
    assert found == expected
    assert is_used(edge(window), None, at(seconds)) == (expected.intent == "use")


@pytest.mark.parametrize(
    ("seconds", "intent", "leaves", "again_s"),
    [
        (-31, "use", None, 1),
        (-30, "drain", None, 30),
        (0, "drain", "EdgeInMaintenance", 60),
        (60, "use", None, None),
    ],
)
def test_what_runs_is_to_be_gone_when_a_window_begins_that_moves_it(
    seconds: float, intent: str, leaves: str | None, again_s: float | None
) -> None:
    found = standing(edge(once(0, 60, drain="move", noticeS=30)), None, at(seconds))
    assert (found.intent, found.leaves, found.again_s) == (intent, leaves, again_s)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, Standing("use", again_s=1.0)),
        (0, Standing("cordon", until=at(60), again_s=60.0)),
        (60, Standing("use", again_s=86_340.0)),
        (86_400, Standing("cordon", until=at(86_460), again_s=60.0)),
    ],
)
def test_a_window_comes_again(seconds: float, expected: Standing) -> None:
    assert standing(None, site(daily()), at(seconds)) == expected


def test_one_that_comes_again_is_told_of_before() -> None:
    assert standing(None, site(daily(noticeS=600)), at(-601)).again_s == 1.0
    found = standing(None, site(daily(noticeS=600)), at(-600))
    assert found == Standing("cordon", until=at(60), again_s=600.0)


def test_its_moments_are_those_of_its_zone() -> None:
    found = standing(None, site({"cron": "0 13 * * *", "timeZone": "Europe/Berlin", "durationS": 60}), NOON)
    assert found.until == at(60)


def test_what_operators_ask_holds_beside_windows() -> None:
    assert standing(edge(once(0, 60), intent="drain"), None, at(1)) == Standing("drain", "EdgeDrained", at(60), 59.0)
    assert standing(edge(once(0, 60), intent="cordon"), None, at(61)) == Standing("cordon")
    later = edge(once(0, 60, drain="move"), intent="drain", drainBy=at(90).isoformat())
    assert standing(later, None, at(1)).leaves == "EdgeInMaintenance", "the window comes before that"
    assert standing(later, None, at(61)) == Standing("drain", again_s=29.0)


def test_the_last_end_of_windows_that_overlap_is_told() -> None:
    found = standing(edge(once(0, 60)), site(once(30, 90)), at(40))
    assert (found.until, found.again_s) == (at(90), 20.0)


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.integers(1, 40), st.integers(0, 20), st.booleans()), min_size=1, max_size=4
    ),
    st.integers(-100, 100),
)
def test_nothing_changes_before_it_says_so(windows: list[tuple[int, int, int, bool]], now_s: int) -> None:
    """From one look to the next it is the same; and it is on exactly where one of the windows is."""
    config = edge(*(once(b, b + d, noticeS=n, drain="move" if moves else "wait") for b, d, n, moves in windows if d))
    found = standing(config, None, at(now_s))
    is_on = any(b - n <= now_s < b + d for b, d, n, _ in windows)
    assert (found.intent != "use") == is_on
    assert (found.leaves is not None) == any(b <= now_s < b + d for b, d, _, moves in windows if moves)
    last_s = now_s + found.again_s - 0.25 if found.again_s is not None else 1e6
    assert standing(config, None, at(last_s))._replace(again_s=None) == found._replace(again_s=None)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({}, "either begin and end, or cron and durationS"),
        ({"begin": "2030-01-01T12:00:00Z"}, "either begin and end, or cron and durationS"),
        ({"cron": "* * * * *"}, "either begin and end, or cron and durationS"),
        (once(0, 60, cron="* * * * *"), "comes once"),
        (once(0, 60, timeZone="UTC"), "comes once"),
        (once(60, 0), "its end comes after its begin"),
        (once(0, 0), "its end comes after its begin"),
        (once(0, 40 * 86_400), "its end comes after its begin"),
        (once(0, 60, drain="maybe"), "wait"),
        (daily(cron="whenever"), "five fields"),
        (daily(cron="0 0 30 2 *"), "no cron expression|no such moment"),
        (daily(timeZone="Nowhere/Atall"), "no time zone"),
        (daily(durationS=0.5), "greater than or equal to 1"),
        (daily(noticeS=-1), "greater than or equal to 0"),
    ],
)
def test_what_is_no_window_is_refused_and_named(window: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says) as raised:
        edge(window)
    assert raised.value.field.startswith("/spec/maintenance/0")


def test_there_are_so_many_windows_at_most() -> None:
    with pytest.raises(Invalid):
        edge(*(once(0, 60) for _ in range(WINDOWS_LIMIT + 1)))
