"""Chance from one seed: streams of their own, and everything else that a program leaves to chance."""

import gc
import os
import random
import uuid

import pytest

from sim.world.dice import Dice


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    first, second = Dice(7), Dice(7)
    second.stream("another").random()
    assert [first.stream("network/edge-0").random() for _ in range(3)] == [
        second.stream("network/edge-0").random() for _ in range(3)
    ]
    assert Dice(8).stream("a").random() != Dice(7).stream("a").random() != Dice(7).stream("b").random()
    assert Dice(1).stream("1").random() != Dice(11).stream("").random()


def test_a_stream_is_the_same_in_every_version() -> None:
    assert Dice(1).stream("network/edge-0").getrandbits(32) == 4147594921


def _drawn() -> tuple[float, str, bytes]:
    return random.random(), uuid.uuid4().hex, os.urandom(4)


def test_while_a_seed_runs_all_chance_is_its_own_and_afterwards_none() -> None:
    random.seed(5)
    undisturbed = [random.random() for _ in range(2)]
    random.seed(5)
    before = random.random()
    runs = list[tuple[float, str, bytes]]()
    for seed in (1, 2, 1):
        with Dice(seed).in_charge():
            assert not gc.isenabled()
            runs.append(_drawn())
    assert [before, random.random()] == undisturbed
    assert gc.isenabled()
    assert runs[0] == runs[2] != runs[1]
    assert len({uuid.uuid4() for _ in range(2)} | {uuid.UUID(run[1]) for run in runs}) == 4


def test_a_run_that_fails_leaves_nothing_behind() -> None:
    urandom, frozen = os.urandom, gc.get_freeze_count()
    with pytest.raises(LookupError, match="planted"), Dice(1).in_charge():
        raise LookupError("planted")
    assert os.urandom is urandom
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen  # what was frozen before may have gone meanwhile
