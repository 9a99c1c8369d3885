"""Retries wait longer and longer, within bounds, each key for itself."""

from itertools import pairwise

from datamodel.backoff import Backoff


def test_it_doubles_up_to_the_bound_and_begins_anew() -> None:
    backoff = Backoff(0.1, 3.0)
    delays = [backoff.failed("a") for _ in range(40)]
    for failures, delay_s in enumerate(delays):
        whole_s = min(0.1 * 2**failures, 3.0)
        assert whole_s / 2 <= delay_s <= whole_s
    assert any(before != after for before, after in pairwise(delays[10:]))
    assert backoff.failed("b") <= 0.1
    backoff.over("a")
    assert backoff.failed("a") <= 0.1
