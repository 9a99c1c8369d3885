"""The book of the ledger: for each owner, what became of each numbered piece of its work, and that the sums are theirs.

How an attempt's course becomes its piece's is the model's to say, and so is the second account of it: `Model.judge`.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Protocol

import msgspec

from datamodel.books.difference import difference, presence
from datamodel.books.living import Living
from datamodel.kinds import Claim
from datamodel.ledger import ALL, Entry, Totals
from datamodel.rows import Rows
from datamodel.state import EntryKey

_COMPARED = ("epoch", "holder", "phase", "failures", "progress")
_compared = attrgetter(*_COMPARED)


class Piece(msgspec.Struct, eq=False):
    """One piece: the attempt that may still change it, and what is known of it."""

    epoch: int
    holder: str
    phase: str
    failures: int = 0
    progress: int = 0
    outputs: object = None


class Sums(msgspec.Struct, eq=False):
    """How many pieces are in each phase (none where there are none), and the sum of their progress."""

    phases: dict[str, int]
    progress: int = 0

    def add(self, phase: str, progress: int, count: int = 1) -> None:
        """Counts pieces, or with a negative count takes them away."""
        left = self.phases.get(phase, 0) + count
        if left:
            self.phases[phase] = left
        else:
            self.phases.pop(phase, None)
        self.progress += progress


class Owner(msgspec.Struct, eq=False):
    """The pieces of one owner that were ever begun, by index; and of how many pieces the attempts at them say that they are, 0
    where none of them has been seen."""

    pieces: dict[int, Piece]
    sums: Sums
    count: int = 0


class LedgerBook:
    """The pieces of all living owners, by the owner's uid."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._all = Sums({})

    def owner(self, uid: str) -> Owner | None:
        """An owner of whose work something was begun."""
        return self._owners.get(uid)

    def put(self, uid: str, index: int, piece: Piece) -> None:
        """Adds a piece of an owner's work."""
        owner = self._owners.setdefault(uid, Owner({}, Sums({})))
        owner.pieces[index] = piece
        for sums in (owner.sums, self._all):
            sums.add(piece.phase, piece.progress)

    def move(self, owner: Owner, piece: Piece, phase: str, progress: int) -> None:
        """A piece is in another phase or got on; the sums follow."""
        gained = progress - piece.progress
        if phase != piece.phase or gained:
            for sums in (owner.sums, self._all):
                sums.add(piece.phase, 0, -1)
                sums.add(phase, gained)
            piece.phase, piece.progress = phase, progress

    def carry(self, entry: Entry) -> None:
        """Takes an entry over from a state that was verified."""
        outputs = None if entry.outputs is None else msgspec.json.decode(entry.outputs)
        piece = Piece(entry.epoch, entry.holder, entry.phase, entry.failures, entry.progress, outputs)
        self.put(entry.owner, entry.index, piece)

    def end(self, uid: str) -> None:
        """The owner is gone, and its pieces with it."""
        owner = self._owners.pop(uid, None)
        if owner is not None:
            for phase, count in owner.sums.phases.items():
                self._all.add(phase, 0, -count)
            self._all.progress -= owner.sums.progress

    def totals(self, owner: str) -> Totals:
        """The sums over an owner's pieces, of all owners under `ALL`."""
        sums = self._all if owner == ALL else self._owners[owner].sums if owner in self._owners else Sums({})
        return Totals(dict(sums.phases), sums.progress)

    @property
    def owners(self) -> set[str]:
        """The owners that have totals."""
        return {*self._owners, ALL} if self._all.phases else set()

    @property
    def keys(self) -> Iterator[EntryKey]:
        return ((uid, index) for uid, owner in self._owners.items() for index in owner.pieces)

    def compare_entries(self, stored: Mapping[EntryKey, Entry], keys: Iterable[EntryKey]) -> Iterator[str]:
        """A sentence for each of these entries that is not what follows from the log. Those of the gone do not matter."""
        for uid, index in keys:
            owner, row = self._owners.get(uid), stored.get((uid, index))
            if owner is None:
                continue
            mine = owner.pieces.get(index)
            if row is None or mine is None:
                if missing := presence(f"entry {(uid, index)}", row, mine):
                    yield missing
            else:
                yield from _compare_entry(uid, index, row, mine)

    def compare_totals(self, stored: Rows, owners: Iterable[str]) -> Iterator[str]:
        """A sentence for each of these owners' totals that is not the sum of its pieces."""
        for owner in owners:
            mine = self.totals(owner)
            if wrong := difference(f"totals {owner}", stored.totals.get(owner), mine if mine.phases else None):
                yield wrong


class Judge(Protocol):
    """A model's second account of its attempts, which it keeps in the book that it was made for. What it finds wrong it says
    in `found`."""

    def begin(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """Judges a new attempt."""
        ...

    def check_names(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """Judges whether an attempt's spec says what its name claims."""
        ...

    def revise(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """Judges another spec of an attempt that had ended."""
        ...

    def follow(self, claim: Claim, attempt: Living, found: list[str]) -> None:
        """Judges the change of an attempt that had not ended, in spec or status."""
        ...


def _compare_entry(owner: str, index: int, row: Entry, mine: Piece) -> Iterator[str]:
    if _compared(row) != _compared(mine):
        for name in _COMPARED:
            if wrong := difference(f"entry {(owner, index)}, {name}", getattr(row, name), getattr(mine, name)):
                yield wrong
    stored = None if row.outputs is None else msgspec.json.decode(row.outputs)
    if stored != mine.outputs and (wrong := difference(f"entry {(owner, index)}, outputs", stored, mine.outputs)):
        yield wrong
