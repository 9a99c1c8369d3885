"""Looking for room in a round of placement: for what several jobs ask alike, the edges one after the other."""

import heapq
from collections.abc import Iterable, Iterator

from datamodel.kinds import Document
from datamodel.scheduling.scheduler import POWER_AWARE, SPREAD
from reconcilers.planning.backlog import Wanted
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.views import Tier

Candidate = tuple[tuple[int, int], int, str]
"""An edge, after which it comes: its tier's key, and its place in that."""


class Search:
    """Goes on where it was, since what is free only shrinks in a round, and an edge without room for this has none later
    either. Once it has come to the end, and has found nothing from the beginning either, there is none."""

    def __init__(self, fleet: Fleet, wanted: Wanted, also: Iterable[str] = ()) -> None:
        """`also`: edges that may have room for this, whatever is known of others."""
        self._fleet = fleet
        self.wanted = wanted
        self._also = also
        self._roomy = fleet.policy in (SPREAD, POWER_AWARE)
        self._tiers = fleet.tiers(wanted) if all(fleet.capacity[name] > 0 for name, _ in wanted.signature) else []
        self._of = {tier.key: tier for tier in self._tiers}
        self.told: Document = {"policy": fleet.policy, "edges": sum(len(tier.paths) for tier in self._tiers)}
        """How it looks for an edge, and among how many: what decisions say of it."""
        if self._tiers and self._tiers[0].resource:
            self.told["by"] = self._tiers[0].resource
        self._walk = self._candidates()
        self._last: Candidate | None = None
        self._ahead: Candidate | None = None
        self._again: list[Candidate] = []
        self.is_barren = False

    def next(self) -> str | None:
        """The edge for the next chunk; None where no edge has room any more."""
        if self.is_barren:
            return None
        look = self._roomiest if self._roomy else self._tightest
        found = look()
        if found is None:
            self._walk, self._last, self._ahead, self._again = self._candidates(), None, None, []
            found = look()
            self.is_barren = found is None
        self._last = found
        return found[2] if found is not None else None

    def all(self) -> list[str]:
        """All edges that have room now, in order."""
        return list(self.roomy())

    def roomy(self) -> Iterator[str]:
        """The same, one after the other: of no use any more once something was taken."""
        return (path for _, _, path in self._candidates() if self._fleet.fits(path, self.wanted.signature))

    def _candidates(self) -> Iterator[Candidate]:
        """The edges that may have room, in the order in which the policy has them used."""
        grown = self._fleet.grown(self.wanted)
        return self._each() if grown is None else iter(sorted(self._among({*grown, *self._also})))

    def _each(self) -> Iterator[Candidate]:
        self._fleet.settle()
        for key, paths, shelves, least, _ in self._tiers:
            if shelves is None:
                for path in paths:
                    yield key, 0, path
            elif self._roomy:
                for shelf, path in shelves.roomiest(least):
                    yield key, -shelf, path
            else:
                for shelf, path in shelves.tightest(least):
                    yield key, shelf, path

    def _among(self, paths: Iterable[str]) -> Iterator[Candidate]:
        for path in paths:
            key = self._fleet.tier_of(path, self.wanted)
            if key in self._of:
                yield key, self._place(self._of[key], path), path

    def _place(self, tier: Tier, path: str) -> int:
        if tier.shelves is None:
            return 0
        self._fleet.settle()
        shelf = tier.shelves.shelf(path)
        return -shelf if self._roomy else shelf

    def _tightest(self) -> Candidate | None:
        """An edge that was used stays the tightest as it gets tighter."""
        fits, signature = self._fleet.fits, self.wanted.signature
        if self._last is not None and fits(self._last[2], signature):
            return self._last
        for found in self._walk:
            if fits(found[2], signature):
                return found
        return None

    def _roomiest(self) -> Candidate | None:
        """An edge that was used comes again where it comes now."""
        fits, signature = self._fleet.fits, self.wanted.signature
        if self._last is not None:
            key, _, path = self._last
            heapq.heappush(self._again, (key, self._place(self._of[key], path), path))
            self._last = None
        while True:
            if self._ahead is None:
                self._ahead = next((found for found in self._walk if fits(found[2], signature)), None)
            if self._again and (self._ahead is None or self._again[0] < self._ahead):
                found = heapq.heappop(self._again)
            elif self._ahead is not None:
                found, self._ahead = self._ahead, None
            else:
                return None
            key, place, path = found
            now = self._place(self._of[key], path)
            if now != place:
                heapq.heappush(self._again, (key, now, path))
            elif fits(path, signature):
                return found
