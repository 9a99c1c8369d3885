"""The judge of a soak: noise is flat, leaks are not."""

import math
import random

import pytest

from sim.soak.slope import HOUR_S, SAMPLES_LEAST, SAMPLES_MOST, Tolerance, trend

MB = 1024 * 1024
TOLERANCE = Tolerance(per_hour=8 * MB, relative=0.04)
EVERY_S = 5.0
HOUR = int(HOUR_S / EVERY_S)


def grows(values: list[float], every_s: float = EVERY_S) -> bool:
    found = trend([number * every_s for number in range(len(values))], values)
    assert found is not None
    return found.grows(TOLERANCE)


def noise(seed: int, count: int, spread: float) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(0, spread) for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [HOUR // 8, HOUR])
def test_flat_with_noise_is_flat(seed: int, count: int) -> None:
    assert not grows([100 * MB + wobble for wobble in noise(seed, count, 2 * MB)])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [HOUR // 8, HOUR])
def test_a_leak_of_a_megabyte_a_minute_grows(seed: int, count: int) -> None:
    leak = [number * EVERY_S / 60 * MB for number in range(count)]
    wobbles = noise(seed, count, 0.5 * MB)
    assert grows([100 * MB + leaked + wobble for leaked, wobble in zip(leak, wobbles, strict=True)])


def test_the_slope_is_that_of_the_leak_an_hour() -> None:
    found = trend([number * EVERY_S for number in range(HOUR)], [number * EVERY_S / 60 * MB for number in range(HOUR)])
    assert found is not None
    assert found.per_hour == pytest.approx(60 * MB)
    assert found.lows_per_hour == pytest.approx(60 * MB)
    assert found.level == pytest.approx(45 * MB, rel=0.01)
    assert found.relative == pytest.approx(60 / 45, rel=0.01)


@pytest.mark.parametrize("at", [0.1, 0.3, 0.45])
def test_a_step_that_levels_off_is_flat(at: float) -> None:
    values = [(100 if number < at * HOUR else 160) * MB + wobble for number, wobble in enumerate(noise(1, HOUR, MB))]
    assert not grows(values)


def test_growth_that_ends_in_the_first_half_is_flat() -> None:
    filling = [100 * MB + 80 * MB * (1 - math.exp(-number / (HOUR / 12))) for number in range(HOUR)]
    assert not grows(filling)


def test_a_cache_that_fills_and_is_cleared_is_flat() -> None:
    period = HOUR // 5
    assert not grows([100 * MB + 60 * MB * (number % period) / period for number in range(HOUR)])


def test_a_leak_under_a_cache_that_fills_and_is_cleared_grows() -> None:
    period = HOUR // 12
    leak = [number * EVERY_S / 60 * MB for number in range(HOUR)]
    assert grows([100 * MB + 60 * MB * (n % period) / period + leaked for n, leaked in enumerate(leak)])


def test_a_quarter_of_wild_samples_moves_nothing() -> None:
    chance = random.Random(2)
    values = [100 * MB + wobble for wobble in noise(3, HOUR, MB)]
    for number in chance.sample(range(HOUR), HOUR // 4):
        values[number] = chance.uniform(0, 1000) * MB
    assert not grows(values)


def test_what_shrinks_is_flat() -> None:
    assert not grows([(200 - number / 10) * MB for number in range(HOUR)])


def test_too_few_samples_say_nothing() -> None:
    count = 2 * SAMPLES_LEAST - 2
    assert trend(range(count), [1.0] * count) is None
    assert trend([], []) is None


def test_a_long_run_is_thinned_and_judged_the_same() -> None:
    day = 24 * HOUR
    assert day / 2 > SAMPLES_MOST
    assert grows([100 * MB + number * EVERY_S / 60 * MB for number in range(day)])
    assert not grows([100 * MB + wobble for wobble in noise(4, day, 5 * MB)])
