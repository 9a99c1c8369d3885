"""The port: what an outbox needs of a disk. Adapters: `sqlite_journal`, and in memory `memory_journal`."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

GROUP_REPORTS = 400
"""The most reports of one write: two variables each, of the 999 that any SQLite takes in a statement."""
FORGET_REPORTS = 1_000
"""Committed reports that may stay in a journal: taking them away costs a write of its own, and the hub skips them if they are
sent again after a crash."""

BOOTS_KEPT = 16
"""Starts that a journal remembers: so many in a row may be unheard of by a hub that is cut off."""


class Found(msgspec.Struct, frozen=True):
    """What a journal holds: reports with their numbers in order, and the last number ever given in this incarnation.

    `unconfirmed_after` is as it was written last. `boots` are the starts that were taken here, in order.
    """

    incarnation: str
    last: int
    reports: list[tuple[int, bytes]]
    unconfirmed_after: int | None = None
    boots: tuple[int, ...] = ()


class Journal(Protocol):
    """Keeps the reports of one incarnation. What a method did is on the disk when it returns.

    A method that raises `Transient` has done nothing that a later one would meet: disk full, an I/O error. Only a crash
    right after it may leave what it was to write.
    """

    async def open(self) -> Found | None:
        """Takes the journal for this process; None where nothing was ever begun in it. Raises `Transient` where it cannot
        be read or another process has it."""
        ...

    async def begin(self, incarnation: str, bodies: Sequence[bytes], *, boot: int | None = None) -> None:
        """Begins an incarnation: these reports, numbered from 1, take the place of all that there was. With `boot`, that start
        takes the place of those that were taken here."""
        ...

    async def take(self, boot: int) -> None:
        """Keeps a start. Of many, the `BOOTS_KEPT` highest stay."""
        ...

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        """Adds at most `GROUP_REPORTS` reports, numbered on from `first`, which follows the last number. Those up to and
        including `forget_through` may go; no more than `FORGET_REPORTS` of them stay. `unconfirmed_after` is kept with them."""
        ...

    async def check(self) -> None:
        """Writes a little, which changes nothing. Raises `Transient` where the disk refuses that, or has so little room that
        the reports of new work might not be kept."""
        ...

    async def close(self, forget_through: int) -> None:
        """Lets go of the journal, and of the reports that may go where that is possible."""
        ...
