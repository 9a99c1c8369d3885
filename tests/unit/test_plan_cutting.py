"""After how much silence an edge is what, by what operators say of it, and when chunks of one that is cut off go elsewhere."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.errors import Invalid
from datamodel.kinds import Kind
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.cutoff import attempt_terms
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.service import EdgeConfig, SiteConfig, config_paths
from datamodel.scheduling.silence import FIELDS
from reconcilers.planning.cutting import overdue
from reconcilers.planning.liveness import Thresholds
from tests.graph import STEPS

DEFAULTS = Thresholds(5.0, 30.0, 900.0)


def node(path: str, kind: str, spec: dict[str, Any]) -> Node:
    return Node(path, "1" * 32, kind, {}, spec, {}, {}, (), 1, 7, 7, datetime(2030, 1, 1, tzinfo=UTC))


def config(kind: type[Kind], **spec: Any) -> Node:
    above, path = config_paths("s", "e")
    return node(path if kind is EdgeConfig else above, kind.__name__, normal_spec(kind, spec))


def test_an_edge_s_own_times_go_before_its_site_s_and_those_before_the_defaults() -> None:
    edge, site = config(EdgeConfig, lostAfterS=7200), config(SiteConfig, suspectAfterS=60, lostAfterS=3600)
    assert DEFAULTS.said_by((None, None)) == DEFAULTS
    assert DEFAULTS.said_by((None, site)) == Thresholds(60.0, 60.0, 3600.0), "none is shorter than the one before it"
    assert DEFAULTS.said_by((edge, site)) == Thresholds(60.0, 60.0, 7200.0)
    assert DEFAULTS.said_by((config(EdgeConfig), site)) == DEFAULTS.said_by((None, site))


times = st.none() | st.floats(1, 1e6)


@given(times, times, times, times)
def test_the_times_of_an_edge_are_in_order_whoever_says_them(
    own_s: float | None, suspect_s: float | None, disconnected_s: float | None, lost_s: float | None
) -> None:
    site = {"suspectAfterS": suspect_s, "disconnectedAfterS": disconnected_s, "lostAfterS": lost_s}
    told = [after_s for after_s in site.values() if after_s is not None]
    if told != sorted(told):
        with pytest.raises(Invalid, match="is at least"):
            config(SiteConfig, **site)
        return
    found = DEFAULTS.said_by((config(EdgeConfig, disconnectedAfterS=own_s), config(SiteConfig, **site)))
    assert found.suspect_s <= found.disconnected_s <= found.lost_s
    assert found.suspect_s == (suspect_s or DEFAULTS.suspect_s)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [0, 0.5, -1, 1e9, "NaN"])
def test_a_time_out_of_bounds_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(Invalid) as refused:
        config(EdgeConfig, **{name: value})
    assert refused.value.field == f"/spec/{name}"


def attempt(after_s: float | None, intent: str = "run", number: int = 0) -> Node:
    spec = {"intent": intent, **({"replaceAfterS": after_s} if after_s is not None else {})}
    return node(f"{desired_path('s', 'e')}/attempts/a-{number}", "Attempt", spec)


@given(st.lists(st.tuples(times, st.sampled_from(("run", "stop", "abandon")))), st.floats(-1e5, 1e6))
def test_those_are_replaced_whose_jobs_have_waited_and_the_next_are_when_they_have(
    some: list[tuple[float | None, str]], cut_s: float
) -> None:
    attempts = [attempt(after_s, intent, number) for number, (after_s, intent) in enumerate(some)]
    found = overdue(attempts, cut_s)
    waiting = [
        one.spec["replaceAfterS"] for one in attempts if one.spec["intent"] == "run" and "replaceAfterS" in one.spec
    ]
    assert [one.spec["replaceAfterS"] for one in found.attempts] == [after_s for after_s in waiting if after_s <= cut_s]
    assert (found.next_s is None) == all(after_s <= cut_s for after_s in waiting)
    if found.next_s is not None:
        assert found.next_s > 0
        later = overdue(attempts, cut_s + found.next_s + 1e-6 * (1 + abs(cut_s)))
        assert len(later.attempts) > len(found.attempts)


def spec_of(cut_off: Any) -> dict[str, Any]:
    spec: dict[str, Any] = normal_spec(Job, {"steps": STEPS, "cutOff": cut_off})
    return spec


def test_a_job_that_says_nothing_of_it_has_nothing_of_it() -> None:
    assert "cutOff" not in normal_spec(Job, {"steps": STEPS})
    assert spec_of({})["cutOff"] == {"policy": "wait"}
    assert spec_of({"policy": "replace", "afterS": 0})["cutOff"] == {"policy": "replace", "afterS": 0.0}


@pytest.mark.parametrize(
    ("cut_off", "terms"),
    [
        (None, {}),
        ({"policy": "wait"}, {}),
        ({"policy": "replace", "afterS": 3}, {"replaceAfterS": 3.0}),
        ({"policy": "exclusive"}, {"leaseS": 60.0}),
        ({"policy": "exclusive", "leaseS": 5}, {"leaseS": 5.0}),
    ],
)
def test_an_attempt_has_of_its_job_s_policy_what_is_needed_to_keep_it(cut_off: Any, terms: dict[str, Any]) -> None:
    assert attempt_terms(spec_of(cut_off) if cut_off is not None else {}) == terms


@pytest.mark.parametrize(
    ("cut_off", "field"),
    [
        ({"policy": "replace"}, "/spec/cutOff"),
        ({"policy": "wait", "afterS": 3}, "/spec/cutOff"),
        ({"afterS": 3}, "/spec/cutOff"),
        ({"policy": "hope"}, "/spec/cutOff/policy"),
        ({"policy": "replace", "afterS": -1}, "/spec/cutOff/afterS"),
        ({"policy": "replace", "afterS": 1e9}, "/spec/cutOff/afterS"),
        ({"policy": "replace", "afterS": 3, "soon": True}, "/spec/cutOff/soon"),
        ({"policy": "exclusive", "afterS": 3}, "/spec/cutOff"),
        ({"policy": "replace", "afterS": 3, "leaseS": 60}, "/spec/cutOff"),
        ({"policy": "exclusive", "leaseS": 4}, "/spec/cutOff/leaseS"),
        ({"policy": "exclusive", "leaseS": 86_401}, "/spec/cutOff/leaseS"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_by_name(cut_off: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec_of(cut_off)
    assert refused.value.field == field
