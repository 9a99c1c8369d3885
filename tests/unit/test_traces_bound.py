"""The bound: what it says where the best possible is known, and that no schedule is better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling.resources import amounts
from sim.traces.bound import Work, bound_ms
from sim.traces.edges import edges_of

GIB = 2**30


def work(run_ms: float, chunks: int = 1, *, cpu: float = 1.0, gib: float = 0.5, release_ms: int = 0) -> Work:
    size = amounts({"cpu": cpu, "memoryBytes": int(gib * GIB), "powerW": 5.0 * cpu})
    return Work(release_ms, run_ms, chunks, tuple(sorted(size.items())))


def test_nothing_takes_no_time() -> None:
    assert bound_ms([], edges_of("1x8:32")) == 0.0


def test_what_is_alike_takes_its_part_of_the_scarcest_resource() -> None:
    assert bound_ms([work(1_000, 64)], edges_of("1x8:32,1x8:64")) == pytest.approx(4_000)
    assert bound_ms([work(1_000, 64, gib=8)], edges_of("2x8:32")) == pytest.approx(8_000)


def test_of_what_is_larger_than_the_half_of_an_edge_one_is_there_at_a_time() -> None:
    """By the total of processors, 5 of 8 each, six would take 3.75 s on an edge; of a third and more, two at a time."""
    assert bound_ms([work(1_000, 6, cpu=5)], edges_of("1x8:64")) == pytest.approx(6_000, rel=0.01)
    assert bound_ms([work(1_000, 6, cpu=3)], edges_of("1x8:64")) == pytest.approx(3_000, rel=0.01)


def test_what_fits_on_few_edges_only_keeps_those_busy() -> None:
    """Twelve processors are on one edge of three, whatever is free on the others."""
    assert bound_ms([work(1_000, 5, cpu=12)], edges_of("2x8:64,1x16:64")) == pytest.approx(5_000, rel=0.02)


def test_an_edge_with_little_memory_has_not_all_its_processors_for_what_needs_much() -> None:
    """By the totals of both, 40 processors and 80 GiB, 100 chunks of 2 GiB would take 2.5 s. But the first edge has room for 4
    of them at a time, the second for 20."""
    small_and_large = edges_of("1x20:8,1x20:72")
    assert bound_ms([work(1_000, 100, gib=2)], small_and_large) == pytest.approx(100_000 / 24, rel=0.02)


def test_what_comes_late_is_not_done_before() -> None:
    edges = edges_of("1x8:64")
    assert bound_ms([work(1_000), work(3_000, release_ms=9_000)], edges) == pytest.approx(12_000)
    assert bound_ms([work(1_000, 80, release_ms=9_000)], edges) == pytest.approx(19_000)
    early, late = work(1_000, 8), work(1_000, 80, release_ms=9_000)
    assert bound_ms([early, late], edges) == bound_ms([late, early], edges) == pytest.approx(19_000)


_some = st.lists(
    st.builds(
        work,
        st.integers(1, 5_000),
        st.integers(1, 6),
        cpu=st.sampled_from([0.5, 1.0, 2.5, 4.0, 7.0]),
        gib=st.sampled_from([0.25, 1.0, 5.0, 14.0]),
        release_ms=st.integers(0, 5_000),
    ),
    min_size=1,
    max_size=12,
)


@given(_some, st.sampled_from(["1x8:16", "2x8:16,1x16:64", "3x8:32,1x8:16"]))
def test_more_work_takes_no_less_and_twice_the_edges_no_more(some: list[Work], edges: str) -> None:
    there = edges_of(edges)
    whole = bound_ms(some, there)
    assert whole >= max(one.release_ms + one.run_ms for one in some)
    for resource in ("cpu", "memory", "power"):
        needed = sum(one.chunks * one.run_ms * dict(one.signature)[resource] for one in some)
        assert whole >= needed / sum(edge.capacity[resource] for edge in there) * 0.999_999
    assert bound_ms([one._replace(run_ms=2 * one.run_ms, release_ms=2 * one.release_ms) for one in some], there) == (
        pytest.approx(2 * whole)
    )
