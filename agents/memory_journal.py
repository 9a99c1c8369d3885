"""The journal in memory: a verified fake. The `Disk` outlives the journals that processes open on it, one at a time.

No method waits for anything, so each is one step of the event loop.
"""

import contextlib
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from agents.journal import BOOTS_KEPT, FORGET_REPORTS, GROUP_REPORTS, Found
from datamodel.errors import Transient


class Content(msgspec.Struct, frozen=True):
    """What is on a disk, as `Found` has it. It is never changed in place, so who has kept one has a copy."""

    incarnation: str
    reports: dict[int, bytes]
    last: int
    forgotten: int = 0
    unconfirmed_after: int | None = None
    boots: tuple[int, ...] = ()


class Disk:
    """The disk of one agent; a clone is another one with its `content`, None where nothing was ever begun.

    `failure` is what becomes of every write meanwhile: `full` refuses it; `sync` refuses it too, and yet it may be found
    after a crash that comes before the next write.
    """

    def __init__(self, content: Content | None = None) -> None:
        self.content = content
        self.failure: Literal["full", "sync"] | None = None
        self._unsynced: Content | None = None
        self._holder: object | None = None

    @property
    def held(self) -> bool:
        """Whether a process has it."""
        return self._holder is not None

    def crash(self, *, unsynced: bool = False) -> None:
        """The process that has it is gone without a word. `unsynced`: what a failed sync left is found."""
        if unsynced and self._unsynced is not None:
            self.content = self._unsynced
        self._unsynced = self._holder = None

    def put_back(self, content: Content | None) -> None:
        """Takes a copy in place of what there is; without one, everything is lost. No process has this disk."""
        assert not self.held, "a process would not see it"
        self.content = content

    def hold(self, holder: object) -> None:
        if self.held:
            raise Transient("the outbox cannot be opened: another agent has it open")
        self._holder = holder

    def held_by(self, holder: object) -> Content | None:
        """What the holder may change."""
        if self._holder is not holder:
            raise Transient("the outbox cannot be written: its process is gone")
        return self.content

    def keep(self, holder: object, content: Content) -> None:
        self.held_by(holder)
        if self.failure == "full":
            raise Transient("the outbox cannot be written: the disk is full")
        if self.failure == "sync":
            self._unsynced = content
            raise Transient("the outbox cannot be written: the disk does not sync")
        self.content, self._unsynced = content, None

    def let_go(self, holder: object) -> None:
        if self._holder is holder:
            self._unsynced = self._holder = None


class MemoryJournal:
    """A process' hold of a disk. `forget_reports`: how many committed reports may stay there."""

    def __init__(self, disk: Disk, *, forget_reports: int = FORGET_REPORTS) -> None:
        self._disk = disk
        self._forget_reports = forget_reports

    async def open(self) -> Found | None:
        self._disk.hold(self)
        found = self._disk.content
        if found is None:
            return None
        return Found(found.incarnation, found.last, sorted(found.reports.items()), found.unconfirmed_after, found.boots)

    async def begin(self, incarnation: str, bodies: Sequence[bytes], *, boot: int | None = None) -> None:
        before = self._disk.held_by(self)
        boots = (boot,) if boot is not None else before.boots if before is not None else ()
        self._disk.keep(self, Content(incarnation, dict(enumerate(bodies, 1)), len(bodies), boots=boots))

    async def take(self, boot: int) -> None:
        before = self._disk.held_by(self)
        assert before is not None
        boots = tuple(sorted({*before.boots, boot})[-BOOTS_KEPT:])
        self._disk.keep(self, replace(before, boots=boots))

    async def write(
        self, first: int, bodies: Sequence[bytes], *, forget_through: int, unconfirmed_after: int | None
    ) -> None:
        assert len(bodies) <= GROUP_REPORTS
        before = self._disk.held_by(self)
        assert before is not None
        assert first == before.last + 1
        forgets = forget_through - before.forgotten >= self._forget_reports
        kept = _after(before.reports, forget_through) if forgets else before.reports
        content = Content(
            incarnation=before.incarnation,
            reports=kept | dict(enumerate(bodies, first)),
            last=before.last + len(bodies),
            forgotten=forget_through if forgets else before.forgotten,
            unconfirmed_after=unconfirmed_after,
            boots=before.boots,
        )
        self._disk.keep(self, content)

    async def check(self) -> None:
        content = self._disk.held_by(self)
        assert content is not None
        self._disk.keep(self, content)

    async def close(self, forget_through: int) -> None:
        found = self._disk.content
        if found is not None:
            with contextlib.suppress(Transient):  # what stays is skipped by the hub
                self._disk.keep(self, replace(found, reports=_after(found.reports, forget_through)))
        self._disk.let_go(self)


def _after(reports: dict[int, bytes], through: int) -> dict[int, bytes]:
    return {number: body for number, body in reports.items() if number > through}
