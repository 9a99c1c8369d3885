"""Who is stopped for a job that matters more: nobody who matters as much, and no more than it takes."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling.scheduler import BEST_FIT
from reconcilers.planning.backlog import Arranged, PendingJob
from reconcilers.planning.fleet import Fleet, Hold
from reconcilers.planning.preemption import CHUNKS_AT_ONCE, clearing
from reconcilers.planning.usage import Usage
from tests.placing import edge, fleet, holding, pending, place

MARGIN = 10


def full(*running: tuple[PendingJob, int], cpu: int = 4000) -> tuple[Fleet, Usage]:
    """Edges 1 and 2 with what runs there taken from what is free."""
    there = fleet(edge(1, cpu), edge(2, cpu), policy=BEST_FIT)
    for job, number in running:
        there.take(place(number), job.signature)
    return there, holding(*((job, place(number)) for job, number in running))


def stopped(victims: list[str]) -> list[int]:
    """As numbers: how many had been placed before each."""
    return [int(one.rpartition("/")[2]) for one in victims]


def test_the_lowest_goes_and_of_those_the_youngest() -> None:
    low, lower = pending(1, cpu=2000, priority=20), pending(2, cpu=2000, priority=10)
    there, usage = full((low, 1), (lower, 1), (lower, 2), (lower, 2))
    urgent = pending(9, cpu=2000, priority=50)
    made = clearing(urgent, None, there, usage, MARGIN)
    assert made is not None
    assert (made.hold, stopped(made.victims)) == (Hold(urgent.wanted, {place(1): 1}, is_cleared=True), [1])
    made = clearing(pending(9, cpu=2000, chunks=2, priority=50), None, there, usage, MARGIN)
    assert made is not None
    assert (made.hold.spots, stopped(made.victims)) == ({place(1): 1, place(2): 1}, [1, 3])


def test_who_matters_as_much_is_left_alone() -> None:
    there, usage = full(*((pending(1, cpu=2000, priority=41), number) for number in (1, 1, 2, 2)))
    assert clearing(pending(9, cpu=2000, priority=50), None, there, usage, MARGIN) is None
    made = clearing(pending(9, cpu=2000, priority=51), None, there, usage, MARGIN)
    assert made is not None


def test_the_edge_is_taken_where_what_is_stopped_matters_least_and_is_least() -> None:
    small, large = pending(1, cpu=1000, priority=10), pending(2, cpu=4000, priority=10)
    there, usage = full(*((small, 1) for _ in range(4)), (large, 2))
    made = clearing(pending(9, cpu=4000, priority=50), None, there, usage, MARGIN)
    assert made is not None
    assert (set(made.hold.spots), stopped(made.victims)) == ({place(2)}, [4])


def test_nobody_is_stopped_whose_room_is_not_needed() -> None:
    tiny, large = pending(1, cpu=500, priority=10), pending(2, cpu=3000, priority=20)
    there, usage = full((tiny, 1), (tiny, 1), (large, 1))
    there.drop(place(2))
    made = clearing(pending(9, cpu=3000, priority=50), None, there, usage, MARGIN)
    assert made is not None
    assert stopped(made.victims) == [2], "what the small ones leave would not do, and is not needed then"


def test_nobody_is_stopped_in_vain() -> None:
    running = pending(1, cpu=2000, priority=10)
    there, usage = full((running, 1), (running, 1), (running, 2))
    assert clearing(pending(9, cpu=5000, priority=50), None, there, usage, MARGIN) is None
    gang = pending(9, cpu=4000, chunks=3, priority=50, together=True)
    assert clearing(gang, None, there, usage, MARGIN) is None
    apart = pending(9, chunks=3, priority=50, together=True, arrangement=Arranged("apart", "sites"))
    assert clearing(apart, None, there, usage, MARGIN) is None


def test_a_quota_bounds_for_how_many_room_is_made() -> None:
    there, usage = full(*((pending(1, cpu=1000, priority=10), number) for number in (1, 1, 1, 1, 2, 2, 2, 2)))
    for most, count in ((None, 8), (3, 3)):
        made = clearing(pending(9, cpu=1000, chunks=100, priority=50), most, there, usage, MARGIN)
        assert made is not None
        assert (sum(made.hold.spots.values()), len(made.victims)) == (count, count)
    assert CHUNKS_AT_ONCE == 64


def test_where_room_is_kept_for_another_nobody_is_stopped() -> None:
    there, usage = full(*((pending(1, cpu=4000, priority=10), number) for number in (1, 2)))
    other = pending(5, cpu=4000)
    there.hold(other.asker, Hold(other.wanted, {place(1): 1}))
    made = clearing(pending(9, cpu=4000, chunks=2, priority=50), None, there, usage, MARGIN)
    assert made is not None
    assert made.hold.spots == {place(2): 1}


@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.sampled_from([500, 1000, 3000]), st.sampled_from([0, 10, 40, 60])), max_size=12
    ),
    st.sampled_from([500, 2000, 4000]),
    st.integers(1, 4),
    st.booleans(),
)
def test_what_is_stopped_is_enough_and_not_more_than_that(
    rows: list[tuple[int, int, int]],
    cpu: int,
    chunks: int,
    together: bool,  # noqa: FBT001 - of a property
) -> None:
    running, left = [], Counter({1: 4000, 2: 4000})
    for order, (number, has, priority) in enumerate(rows):
        if left[number] >= has:
            left[number] -= has
            running.append((pending(order, cpu=has, priority=priority), number))
    there, usage = full(*running)
    made = clearing(pending(99, cpu=cpu, chunks=chunks, priority=50, together=together), None, there, usage, MARGIN)
    if made is None:
        return
    victims = stopped(made.victims)
    assert len(set(victims)) == len(victims)
    assert all(running[one][0].priority <= 40 for one in victims)
    spots = {int(path.rpartition("e")[2]): times for path, times in made.hold.spots.items()}
    assert sum(spots.values()) == chunks if together else 1 <= sum(spots.values()) <= chunks
    for one in victims:
        job, number = running[one]
        given = sum(dict(running[other][0].signature)["cpu"] for other in victims if running[other][1] == number)
        assert left[number] + given >= cpu * spots[number], "enough"
        assert spots[number] > 1 or left[number] + given - dict(job.signature)["cpu"] < cpu, "each of them is needed"
