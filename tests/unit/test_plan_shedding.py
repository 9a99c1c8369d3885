"""What goes elsewhere where an edge has less than is reserved of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from datamodel.node import Node
from datamodel.scheduling.edges import desired_path
from reconcilers.planning.shedding import shed
from tests.graph import JOBS

AT = datetime(2030, 1, 1, tzinfo=UTC)


def node(path: str, kind: str, spec: dict[str, Any], version: int, uid: str, **more: Any) -> Node:
    said: dict[str, Any] = {"labels": {}, "status": {}, "links": {}, "finalizers": (), **more}
    return Node(
        path=path,
        uid=uid,
        kind=kind,
        spec=spec,
        generation=1,
        version=version,
        created_version=version,
        created_at=AT,
        **said,
    )


class One(NamedTuple):
    """An attempt: its job's priority, the power that it holds, and GPUs."""

    priority: int | None
    power_w: float
    gpus: int = 0
    intent: str = "run"


def shed_of(ones: Sequence[One], power_w: float, gpus: int = 0) -> list[int]:
    """The numbers of those that are shed, in order, of an edge that has so much."""
    jobs: dict[str, Node] = {}
    attempts: list[Node] = []
    for number, one in enumerate(ones):
        path, uid = f"{JOBS}/j{number}", f"{number:032x}"
        if one.priority is not None:
            jobs[path] = node(path, "Job", {"priority": one.priority}, 1, uid)
        requests: dict[str, Any] = {"cpu": 0.1, "memoryBytes": 1, "powerW": one.power_w}
        if one.gpus:
            requests["gpus"] = {"count": one.gpus, "driver": "nvidia", "type": "a100"}
        spec = {"job": path, "requests": requests, "intent": one.intent}
        place = f"{desired_path('s', 'e')}/attempts/{number}"
        attempts.append(node(place, "Attempt", spec, 10 + number, f"a{number}", links={"job": (uid,)}))
    capacity = {"cpu": 100_000, "memory": 10**6, "power": round(power_w * 1000), "gpu/a100": gpus}
    found = shed(list(reversed(attempts)), capacity, jobs)
    return [int(attempt.path.rpartition("/")[2]) for attempt in found]


def test_what_fits_stays() -> None:
    assert shed_of([One(0, 5), One(50, 5)], 10) == []


def test_the_lowest_priority_goes_first_and_of_equal_ones_the_youngest() -> None:
    ones = [One(50, 1), One(0, 1), One(0, 1), One(90, 1)]
    assert shed_of(ones, 3) == [2]
    assert shed_of(ones, 2) == [2, 1]
    assert shed_of(ones, 1) == [2, 1, 0]
    assert shed_of(ones, 0) == [2, 1, 0, 3]


def test_what_is_given_up_already_is_none_of_the_rest() -> None:
    assert shed_of([One(0, 5, intent="abandon"), One(50, 5)], 5) == []
    assert shed_of([One(0, 5, intent="stop"), One(50, 5), One(60, 5)], 5) == [1]


def test_whose_job_is_gone_goes_before_all_others() -> None:
    assert shed_of([One(0, 5), One(None, 5), One(0, 5)], 10) == [1]


def test_who_holds_nothing_of_what_is_short_stays() -> None:
    assert shed_of([One(0, 1), One(90, 1, gpus=1), One(50, 1, gpus=1)], 10, gpus=1) == [2]


@given(
    st.lists(
        st.builds(One, st.sampled_from([0, 50, 100]), st.integers(1, 5), st.integers(0, 1), st.just("run")), max_size=8
    ),
    st.integers(0, 20),
    st.integers(0, 4),
)
def test_the_rest_fits_and_nobody_goes_for_nothing(ones: list[One], power_w: int, gpus: int) -> None:
    gone = shed_of(ones, power_w, gpus)
    left = [one for number, one in enumerate(ones) if number not in gone]
    assert sum(one.power_w for one in left) <= power_w
    assert sum(one.gpus for one in left) <= gpus
    if gone:  # the last one that went had to: with it, something would still be too little
        back = [*left, ones[gone[-1]]]
        assert sum(one.power_w for one in back) > power_w or sum(one.gpus for one in back) > gpus
