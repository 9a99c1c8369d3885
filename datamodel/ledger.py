"""The ledger: for each numbered piece of an owner's work, its current epoch and what was counted for it.

An entry is made by the first attempt at the piece and owned by the owner's uid, so it outlives attempts and the places
where they ran. Totals are the sums of an owner's entries by phase; both are part of the fold of the log.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

ALL = ""
"""The owner under which the sum over all owners' totals is kept, so that nobody has to add up what may be a million rows."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One piece. `holder` is the path of the attempt with the current epoch, or of the older one whose result was adopted;
    `progress` counts per mille of the piece."""

    owner: str
    index: int
    epoch: int
    phase: str
    holder: str
    failures: int = 0
    progress: int = 0
    outputs: msgspec.Raw | None = None


class Counted(msgspec.Struct, frozen=True):
    """An entry as JSON tells it, where null stands for outputs that there are none of."""

    owner: str
    index: int
    epoch: int
    phase: str
    holder: str
    failures: int
    progress: int
    outputs: msgspec.Raw

    @classmethod
    def of(cls, entry: Entry) -> "Counted":
        outputs = msgspec.Raw(b"null") if entry.outputs is None else entry.outputs
        counted = entry.owner, entry.index, entry.epoch, entry.phase, entry.holder, entry.failures, entry.progress
        return cls(*counted, outputs)

    def entry(self) -> Entry:
        outputs = None if bytes(self.outputs) == b"null" else msgspec.Raw(bytes(self.outputs))
        return Entry(self.owner, self.index, self.epoch, self.phase, self.holder, self.failures, self.progress, outputs)


class Totals(msgspec.Struct, frozen=True, gc=False):
    """The sums over an owner's entries: how many are in each phase, and the sum of their progress (per mille)."""

    phases: Mapping[str, int] = {}
    progress: int = 0

    @property
    def entries(self) -> int:
        return sum(self.phases.values())

    @staticmethod
    def sum(of: Iterable["Totals"]) -> "Totals":
        """What several owners have together."""
        phases, progress = Counter[str](), 0
        for totals in of:
            phases.update(totals.phases)
            progress += totals.progress
        return Totals(dict(phases), progress)

    def without(self, others: "Totals") -> "Totals":
        """The totals once some of what they count is gone."""
        left = {phase: count - others.phases.get(phase, 0) for phase, count in self.phases.items()}
        return Totals({phase: count for phase, count in left.items() if count}, self.progress - others.progress)

    def moved(self, before: Entry | None, after: Entry) -> "Totals":
        """The totals once `before` (None: a new entry) has become `after`."""
        phases = dict(self.phases)
        if before is not None:
            left = phases[before.phase] - 1
            if left:
                phases[before.phase] = left
            else:
                del phases[before.phase]
        phases[after.phase] = phases.get(after.phase, 0) + 1
        gained = after.progress - (before.progress if before is not None else 0)
        return Totals(phases=phases, progress=self.progress + gained)


def pieces_of(spec: Mapping[str, Any], status: Mapping[str, Any], field: str, path: Sequence[str]) -> int:
    """How many pieces a node of this spec and status has: as `field` of the spec says, else what is at `path` in the status,
    else one."""
    told: Any = spec.get(field)
    if told is None:
        told = status
        for name in path:
            told = told.get(name, {})
    return int(told or 1)


class Ledgers(Protocol):
    """Reads entries and totals."""

    async def totals(self, owners: Collection[str]) -> dict[str, Totals]: ...

    async def entries(
        self, owner: str, *, phases: Collection[str] = (), after: int = -1, limit: int = 1000
    ) -> list[Entry]:
        """An owner's entries in order of index, above index `after`; `phases` filters where it is not empty."""
        ...

    async def first_entries(self, owners: Collection[str], phase: str, limit: int) -> dict[str, list[Entry]]:
        """Of each of these owners the first entries in a phase, in order of index; `limit` holds for each."""
        ...

    async def sum_totals(self) -> Totals:
        """The sum over all owners' totals."""
        ...

    async def sum_pieces(
        self, kind: str, spec: str, status: Sequence[str], phases: Collection[str]
    ) -> tuple[int, Totals]:
        """Over the nodes of a kind that are in one of these phases (an empty one: in none yet), the sum of how many pieces each
        has, and that of their totals. A node has as many as this field of its spec says, else what is at this path in its
        status, else one."""
        ...
