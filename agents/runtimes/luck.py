"""Which simulated chunks fail, and which are slow: pure, by a seed and the attempt's name, so that a replay gives the same."""

import math
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import NamedTuple

_NORMAL = NormalDist()
_DRAWS = 4
_BITS = 52


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely what is. Each is drawn independently of the others, so that changing one leaves the others' outcomes.

    `failing` of the attempts (0 to 1) end with `fail_code` when the part `fail_at` (0 to 1) of their work is done, None for a
    part that is drawn evenly. The work of each takes a factor longer that is lognormal with median 1 and `slow_sigma`, the
    standard deviation of its logarithm; `straggling` of the attempts take `straggler_factor` times as long again.
    """

    seed: int = 0
    failing: float = 0.0
    fail_code: int = 1
    fail_at: float | None = None
    slow_sigma: float = 0.0
    straggling: float = 0.0
    straggler_factor: float = 10.0


class Fate(NamedTuple):
    """What becomes of an attempt: its work is `factor` times what it was, and after the part `fails_at` of that it ends with
    `code`; None for one that does not fail."""

    factor: float = 1.0
    fails_at: float | None = None
    code: int = 0


USUAL = Chances()
_SUCCEEDS = Fate()


def fate(chances: Chances, attempt: str) -> Fate:
    if not chances.failing and not chances.slow_sigma and not chances.straggling:
        return _SUCCEEDS
    fails, part, slow, straggles = _draws(f"{chances.seed}/{attempt}")
    factor = math.exp(chances.slow_sigma * _NORMAL.inv_cdf(slow)) if chances.slow_sigma else 1.0
    if straggles < chances.straggling:
        factor *= chances.straggler_factor
    if fails >= chances.failing:
        return Fate(factor)
    return Fate(factor, part if chances.fail_at is None else chances.fail_at, chances.fail_code)


def _draws(name: str) -> list[float]:
    """Numbers between 0 and 1, neither included, even for the distribution's inverse."""
    digest = blake2b(name.encode(), digest_size=8 * _DRAWS).digest()
    numbers = (int.from_bytes(digest[8 * k : 8 * k + 8], "big") >> 64 - _BITS for k in range(_DRAWS))
    return [(number + 0.5) / 2.0**_BITS for number in numbers]
