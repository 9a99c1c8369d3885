"""Failures and slowness by seed: the same again, and as many as was asked for."""

import math
from dataclasses import replace
from statistics import fmean, median, stdev

import pytest

from agents.runtimes.luck import USUAL, Chances, Fate, fate

MANY = 20_000
NAMES = [f"job-{index}-1" for index in range(MANY)]
CHANCES = Chances(seed=7, failing=0.1, fail_code=3, slow_sigma=0.5, straggling=0.02, straggler_factor=8.0)


def fates(chances: Chances) -> list[Fate]:
    return [fate(chances, name) for name in NAMES]


def test_without_chances_all_succeed_as_they_should() -> None:
    assert set(fates(USUAL)) == {Fate(1.0, None, 0)}


def test_the_same_seed_and_name_have_the_same_fate() -> None:
    assert fates(CHANCES) == fates(CHANCES)
    factor, fails_at, code = fate(CHANCES, "a-0-1")
    assert factor == pytest.approx(0.7003990610856416), "in every process and on every machine"
    assert (fails_at, code) == (None, 0)


def test_another_seed_or_try_has_another_fate() -> None:
    assert fates(CHANCES) != fates(replace(CHANCES, seed=8))
    assert fate(CHANCES, "a-0-1") != fate(CHANCES, "a-0-2")


def test_as_many_fail_as_was_asked_for_anywhere_in_their_work() -> None:
    failed = [one for one in fates(CHANCES) if one.fails_at is not None]
    assert len(failed) / MANY == pytest.approx(0.1, abs=0.01)
    assert {one.code for one in failed} == {3}
    parts = [one.fails_at for one in failed if one.fails_at is not None]
    assert min(parts) > 0.0
    assert max(parts) < 1.0
    assert fmean(parts) == pytest.approx(0.5, abs=0.03)


def test_a_part_that_is_given_is_where_they_fail() -> None:
    assert {one.fails_at for one in fates(replace(CHANCES, fail_at=0.25))} == {None, 0.25}


def test_all_may_fail_or_straggle() -> None:
    always = fates(Chances(failing=1.0, straggling=1.0, straggler_factor=4.0))
    assert all(one.fails_at is not None and one.factor == 4.0 for one in always)


def test_slowness_is_lognormal_around_one() -> None:
    logs = [math.log(one.factor) for one in fates(Chances(seed=7, slow_sigma=0.5))]
    assert median(logs) == pytest.approx(0.0, abs=0.02)
    assert stdev(logs) == pytest.approx(0.5, abs=0.02)


def test_stragglers_are_as_many_as_was_asked_for() -> None:
    factors = [one.factor for one in fates(Chances(seed=7, straggling=0.02, straggler_factor=8.0))]
    assert set(factors) == {1.0, 8.0}
    assert factors.count(8.0) / MANY == pytest.approx(0.02, abs=0.005)


def test_one_chance_changes_nothing_of_the_others() -> None:
    more = fates(replace(CHANCES, failing=0.5, straggling=0.0))
    plain = fates(replace(CHANCES, straggling=0.0))
    assert [one.factor for one in more] == [one.factor for one in plain]
    failed = [one.fails_at is not None for one in plain]
    assert all(one.fails_at is not None for one, before in zip(more, failed, strict=True) if before)
