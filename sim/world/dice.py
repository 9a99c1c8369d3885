"""Chance: streams of random numbers, each of its own name, all from one seed."""

import gc
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


class Dice:
    """Named streams: what one part of a script draws, or that it is gone, changes nothing for the others.

    A stream is seeded by the text "seed/name", of which `random` takes SHA-512: the same in every process.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: str) -> random.Random:
        """The stream of a name, which goes on where it was left."""
        if name not in self._streams:
            self._streams[name] = random.Random(f"{self.seed}/{name}")  # noqa: S311 - chance, not a secret
        return self._streams[name]

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """While a seed runs, everything that this program leaves to chance or to its memory is the seed's.

        That is the module `random`, the bytes of `os.urandom` (so `uuid.uuid4`), and when cycles of garbage go: they are
        left until the end, since their destructors may do something. All is as before afterwards.
        """
        state, collecting = random.getstate(), gc.isenabled()
        random.seed(f"{self.seed}/random")
        gc.disable()
        try:
            with mock.patch.object(os, "urandom", self.stream("os.urandom").randbytes):
                yield
        finally:
            gc.collect()
            if collecting:
                gc.enable()
            random.setstate(state)


def moment(rng: random.Random, least_s: float, most_s: float) -> float:
    """A time between two, to a millisecond."""
    return round(rng.uniform(least_s, most_s), 3)
