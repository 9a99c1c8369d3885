"""The book of chunks: for each owner, what became of each numbered piece of its work, and that each is counted once.

It is written in the words of the scheduling model, as a second account of what `datamodel/scheduling/attempts.py` says.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from datamodel.books.difference import difference, presence
from datamodel.books.nodes import Living
from datamodel.kinds import Claim
from datamodel.ledger import ALL, Entry, Totals
from datamodel.rows import Rows
from datamodel.scheduling.attempts import ABANDON, INTERRUPTED, PLACED, RETRY, STOP, STOPPED
from datamodel.scheduling.jobs import ABORTED, FAILED, RUNNING, SUCCEEDED
from datamodel.state import EntryKey

_FINAL = (SUCCEEDED, FAILED, ABORTED)
_WHOLE = 1000
"""The progress of a chunk that is done, in per mille."""


class Chunk(msgspec.Struct, eq=False):
    """One piece: the attempt that may still change it, and what is known of it."""

    epoch: int
    holder: str
    phase: str = PLACED
    failures: int = 0
    progress: int = 0
    outputs: object = None


class Sums(msgspec.Struct, eq=False):
    """How many chunks are in each phase (none where there are none), and the sum of their progress."""

    phases: dict[str, int]
    progress: int = 0

    def add(self, phase: str, progress: int, count: int = 1) -> None:
        """Counts chunks, or with a negative count takes them away."""
        left = self.phases.get(phase, 0) + count
        if left:
            self.phases[phase] = left
        else:
            self.phases.pop(phase, None)
        self.progress += progress


class Owner(msgspec.Struct, eq=False):
    """The chunks of one owner that were ever placed, by index."""

    chunks: dict[int, Chunk]
    sums: Sums


class ChunkBook:
    """The chunks of all living owners, by the owner's uid."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._all = Sums({})

    def carry(self, entry: Entry) -> None:
        """Takes an entry over from a state that was verified."""
        outputs = None if entry.outputs is None else msgspec.json.decode(entry.outputs)
        chunk = Chunk(entry.epoch, entry.holder, entry.phase, entry.failures, entry.progress, outputs)
        owner = self._owners.setdefault(entry.owner, Owner({}, Sums({})))
        owner.chunks[entry.index] = chunk
        for sums in (owner.sums, self._all):
            sums.add(chunk.phase, chunk.progress)

    def begin(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """A new attempt: the next chunk's first, or the next one at a chunk that waits for it."""
        self.check_names(claim, attempt, found)
        owner = self._owners.setdefault(claim.owner, Owner({}, Sums({})))
        chunk = owner.chunks.get(claim.index)
        if chunk is None:
            if claim.index != len(owner.chunks):
                found.append(f"chunk {claim.index} is placed, and the next one is {len(owner.chunks)}")
            if claim.epoch != 1:
                found.append(f"the chunk's first epoch is {claim.epoch}")
            owner.chunks[claim.index] = Chunk(claim.epoch, attempt.path)
            for sums in (owner.sums, self._all):
                sums.add(PLACED, 0)
            return
        if chunk.phase in _FINAL:
            found.append(f"the chunk is counted as {chunk.phase}")
        elif chunk.phase != RETRY:
            found.append(f"{chunk.holder} has neither ended nor been given up")
        if claim.epoch != chunk.epoch + 1:
            found.append(f"epoch {claim.epoch} follows {chunk.epoch}")
        chunk.epoch, chunk.holder = claim.epoch, attempt.path
        self._move(owner, chunk, PLACED, 0)

    def check_names(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """What the edge reads of an attempt is what its name claims."""
        index, count = attempt.spec["index"], attempt.spec["count"]
        if index != claim.index or not index < count:
            found.append(f"its name claims chunk {claim.index}, its spec says {index} of {count}")

    def follow(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """An attempt that had not ended has changed, in spec or status. Only the chunk's newest one counts."""
        owner = self._owners.get(claim.owner)
        chunk = owner.chunks.get(claim.index) if owner is not None else None
        counts = chunk is not None and chunk.epoch == claim.epoch and chunk.phase not in _FINAL
        if attempt.ended:
            due = "orphaned" if owner is None else "counted" if counts else "superseded"
            told = attempt.status.get("settlement", "")
            if told != due:
                found.append(f"its end is {due}, and it says {told or 'nothing'}")
        if owner is not None and chunk is not None and counts:
            self._settle(owner, chunk, attempt)

    def end(self, uid: str) -> None:
        """The owner is gone, and its chunks with it."""
        owner = self._owners.pop(uid, None)
        if owner is not None:
            for phase, count in owner.sums.phases.items():
                self._all.add(phase, 0, -count)
            self._all.progress -= owner.sums.progress

    def totals(self, owner: str) -> Totals:
        """The sums over an owner's chunks, of all owners under `ALL`."""
        sums = self._all if owner == ALL else self._owners[owner].sums if owner in self._owners else Sums({})
        return Totals(dict(sums.phases), sums.progress)

    @property
    def owners(self) -> set[str]:
        """The owners that have totals."""
        return {*self._owners, ALL} if self._all.phases else set()

    @property
    def keys(self) -> Iterator[EntryKey]:
        return ((uid, index) for uid, owner in self._owners.items() for index in owner.chunks)

    def compare_entries(self, stored: Mapping[EntryKey, Entry], keys: Iterable[EntryKey]) -> Iterator[str]:
        """A sentence for each of these entries that is not what follows from the log. Those of the gone do not matter."""
        for uid, index in keys:
            owner, row = self._owners.get(uid), stored.get((uid, index))
            if owner is None:
                continue
            mine = owner.chunks.get(index)
            if missing := presence(f"entry {(uid, index)}", row, mine):
                yield missing
            elif row is not None and mine is not None:
                yield from _compare_entry(uid, index, row, mine)

    def compare_totals(self, stored: Rows, owners: Iterable[str]) -> Iterator[str]:
        """A sentence for each of these owners' totals that is not the sum of its chunks."""
        for owner in owners:
            mine = self.totals(owner)
            if wrong := difference(f"totals {owner}", stored.totals.get(owner), mine if mine.phases else None):
                yield wrong

    def _settle(self, owner: Owner, chunk: Chunk, attempt: Living) -> None:
        intent, status = attempt.spec["intent"], attempt.status
        phase = status.get("phase", "")
        if phase == SUCCEEDED:
            chunk.outputs = status.get("outputs")
            self._move(owner, chunk, SUCCEEDED, _WHOLE)
        elif phase == FAILED:
            chunk.failures += 1
            self._move(owner, chunk, RETRY if chunk.failures <= attempt.spec["retries"] else FAILED, 0)
        elif phase == STOPPED and intent == STOP:
            self._move(owner, chunk, ABORTED, 0)
        elif phase in (INTERRUPTED, STOPPED) or intent == ABANDON:
            self._move(owner, chunk, RETRY, 0)
        elif phase == RUNNING:
            self._move(owner, chunk, RUNNING, int(status.get("percent", 0) * 10))
        else:
            self._move(owner, chunk, PLACED, 0)

    def _move(self, owner: Owner, chunk: Chunk, phase: str, progress: int) -> None:
        gained = progress - chunk.progress
        if phase != chunk.phase or gained:
            for sums in (owner.sums, self._all):
                sums.add(chunk.phase, 0, -1)
                sums.add(phase, gained)
            chunk.phase, chunk.progress = phase, progress


def _compare_entry(owner: str, index: int, row: Entry, mine: Chunk) -> Iterator[str]:
    for name in ("epoch", "holder", "phase", "failures", "progress"):
        if wrong := difference(f"entry {(owner, index)}, {name}", getattr(row, name), getattr(mine, name)):
            yield wrong
    stored = None if row.outputs is None else msgspec.json.decode(row.outputs)
    if wrong := difference(f"entry {(owner, index)}, outputs", stored, mine.outputs):
        yield wrong
