"""Older states of something that may be put back, as backups are."""

from collections.abc import Callable
from typing import Generic, TypeVar

from sim.world.universe import Universe

T = TypeVar("T")

EVERY_S, KEPT = 10.0, 12


class Copies(Generic[T]):
    """Keeps what `make()` gives, every ten seconds for two minutes."""

    def __init__(self, universe: Universe, make: Callable[[], T]) -> None:
        self._universe, self._make = universe, make
        self._kept: list[tuple[float, T]] = []
        universe.after(EVERY_S, self._keep)

    def of(self, age_s: float) -> list[T]:
        """Those that are at least so old, the newest last."""
        wanted_s = self._universe.now_s - age_s
        return [copy for at_s, copy in self._kept if at_s <= wanted_s]

    def _keep(self) -> None:
        self._kept = [*self._kept[-KEPT:], (self._universe.now_s, self._make())]
        self._universe.after(EVERY_S, self._keep)
