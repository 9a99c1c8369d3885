"""What a job is told of its chunks on edges that are not heard from."""

from datetime import UTC, datetime
from typing import Any

import pytest

from datamodel.node import Node
from datamodel.ports import Placement
from reconcilers.planning.contact import aspect, unheard
from reconcilers.planning.rollup import conditions

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def job(phase: str = "running", told: Any = ()) -> Node:
    status = {"phase": phase, "conditions": list(told)}
    return Node("/j", "1" * 32, "Job", {}, {}, status, {}, (), 1, 7, 7, NOON)


def test_chunks_in_flight_count_where_their_edge_is_cut_off() -> None:
    placements = [
        Placement("/e", "placed", 2, 0),
        Placement("/e", "running", 3, 700),
        Placement("/e", "succeeded", 5, 5000),
        Placement("/e", "retry", 1, 0),
        Placement("/f", "running", 7, 0),
    ]
    assert unheard(placements, {"/e"}) == 5
    assert unheard(placements, {"/e", "/f"}) == 12
    assert unheard(placements, ()) == 0


def told(before: Node, chunks: int) -> list[Any]:
    found = aspect(before, chunks)
    known = before.status["conditions"]
    return known if found is None else conditions(known, [found], NOON)


def test_it_is_unknown_how_they_are_and_never_that_they_failed() -> None:
    (first,) = told(job(), 1)
    assert (first["type"], first["status"], first["reason"]) == ("Heard", "Unknown", "EdgesNotHeardFrom")
    assert first["message"] == "1 chunk is on edges that are not heard from: how far these are is not known"
    (more,) = told(job(told=[first]), 3)
    assert more["message"].startswith("3 chunks are on edges")
    assert aspect(job(told=[more]), 3) is None, "it is told already"
    (back,) = told(job(told=[more]), 0)
    assert (back["status"], back["message"]) == ("True", "")
    assert aspect(job(told=[back]), 0) is None


@pytest.mark.parametrize("phase", ["succeeded", "failed", "aborted"])
def test_a_job_that_has_ended_or_never_lost_sight_of_one_is_told_nothing(phase: str) -> None:
    assert aspect(job(phase), 2) is None
    assert aspect(job(), 0) is None
