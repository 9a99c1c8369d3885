"""When jobs arrive and how large they are: by the rate and the seed alone."""

import statistics
from collections import Counter
from itertools import pairwise

import pytest

from sim.load.arrivals import Phase, Process, arrivals
from sim.load.sizes import LONGEST, MIX, Sizes


@pytest.mark.parametrize("process", ["poisson", "constant"])
def test_a_seed_gives_the_same_arrivals_in_order(process: Process) -> None:
    phases = (Phase("a", 20, 30), Phase("b", 5, 30))
    first, again = (list(arrivals(process, phases, seed=7)) for _ in range(2))
    assert first == again
    assert all(a.at_s <= b.at_s for a, b in pairwise(first))
    assert {a.phase for a in first if a.at_s < 30} == {0}
    assert {a.phase for a in first if a.at_s >= 30} == {1}


def test_poisson_arrivals_have_the_rate_and_the_spread_of_the_process() -> None:
    found = [arrival.at_s for arrival in arrivals("poisson", (Phase("a", 50, 400),), seed=3)]
    assert len(found) == pytest.approx(20_000, rel=0.03), "four standard deviations"
    gaps = [b - a for a, b in pairwise(found)]
    assert statistics.mean(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1 / 50, rel=0.05), "exponential gaps spread as much as they last"
    assert found != [arrival.at_s for arrival in arrivals("poisson", (Phase("a", 50, 400),), seed=4)]


def test_constant_arrivals_are_at_multiples_and_do_not_drift() -> None:
    found = [arrival.at_s for arrival in arrivals("constant", (Phase("warm", 10, 2), Phase("a", 3, 10_000)), seed=1)]
    assert found[:20] == [number / 10 for number in range(20)]
    assert found[20:] == [2 + number / 3 for number in range(30_000)]


def test_sizes_are_mostly_small_and_come_from_the_seed() -> None:
    sizes = Sizes(seed=5, mean_chunk_ws=2.0)
    drawn = [sizes.draw() for _ in range(20_000)]
    again = Sizes(seed=5, mean_chunk_ws=2.0)
    assert drawn[:100] == [again.draw() for _ in range(100)]
    counts = Counter(size.chunks for size in drawn)
    assert counts.keys() == MIX.keys()
    assert all(counts[chunks] / 20_000 == pytest.approx(share, rel=0.25) for chunks, share in MIX.items())
    each = [size.work_ws / size.chunks for size in drawn]
    assert statistics.mean(each) == pytest.approx(2.0, rel=0.05)
    assert max(each) <= 2.0 * LONGEST * 1.001
