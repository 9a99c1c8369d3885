"""The outbox: every report is on disk before anybody acts on it, and stays until the hub has committed it.

Reports go to a journal in group commits. Numbers are dense from 1 within an incarnation; a lost disk is a new incarnation,
which starts at 1 again and is never confused with the old one. A disk that was put back from an older copy is found out when
the hub has more of the incarnation than the copy: new reports under the numbers between would be taken for duplicates and
lost. So an outbox that was opened is sent from only when the hub has said how far it is, and becomes a new incarnation, with
all that is pending, where that is further than it can be. So it does where the hub is less far than it said: then the hub's
database is an older copy, and would wait for ever for what was forgotten here.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self

import structlog

from agents.journal import GROUP_REPORTS, Journal
from datamodel.errors import Transient

LIMIT_REPORTS = 1_000_000
"""Reports that may wait; more and the agent begins no new work until the hub has committed some."""

_log = structlog.get_logger("outbox")


def random_incarnation() -> str:
    return uuid.uuid4().hex


class Outbox:
    """Open it with `async with`, which raises `Transient` where its journal cannot be opened.

    `pending` mirrors what is on disk and not yet committed by the hub, in order. `new_incarnation` gives a name that no
    incarnation of this agent ever had.
    """

    def __init__(
        self,
        journal: Journal,
        new_incarnation: Callable[[], str] = random_incarnation,
        *,
        limit_reports: int = LIMIT_REPORTS,
    ) -> None:
        self._journal = journal
        self._limit_reports = limit_reports
        self._new_incarnation = new_incarnation
        self._arriving: list[tuple[bytes, asyncio.Future[int]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._last = 0
        self._forget_through = 0
        self._unconfirmed_after: int | None = None
        self._told: int | None = None
        self._refused = ""
        self._boot: tuple[int, bool, asyncio.Future[None]] | None = None
        self._owed: tuple[str, int, float] = "", 0, 0.0
        self.boots: tuple[int, ...] = ()
        """The starts of which this disk knows; see `take`."""
        self.fenced = False
        """Nothing is sent from it any more: another agent of this name is believed. Its session says so."""
        self.incarnation = ""
        self.pending: deque[tuple[int, bytes]] = deque()
        self.grown = asyncio.Event()
        """Set whenever there may be more to send; who sends it clears it, and sets it where something is to be sent again."""

    @property
    def trouble(self) -> str:
        """Why no new work is to be begun: the disk took no report when it was last tried, or has little room left, or too many
        wait. Empty where all is well. What runs goes on, and what it comes to is told once that can be kept."""
        if len(self.pending) >= self._limit_reports:
            return f"{len(self.pending)} reports wait for the hub"
        return self._refused

    async def check(self) -> None:
        """Finds out whether the disk takes reports; `trouble` says so after."""
        try:
            await self._journal.check()
        except Transient as error:
            self._refuse(error.message)
        else:
            if self._refused:
                _log.info("the outbox can be written again")
            self._refused = ""

    def owe(self, until_s: float) -> None:
        """After a start or a reconnection: what is pending now is told before new work is begun. Until a time of the loop's at
        most, since a hub that is connected and does not answer is as good as cut off."""
        self._owed = self.incarnation, self._last, until_s

    @property
    def owes(self) -> bool:
        """Whether new work is to wait for that."""
        incarnation, number, until_s = self._owed
        return self.holds(incarnation, number) and asyncio.get_running_loop().time() < until_s

    def holds(self, incarnation: str, number: int) -> bool:
        """Whether the hub has not committed that report yet. One of a former incarnation has another number now: no."""
        return self.incarnation == incarnation and bool(self.pending) and self.pending[0][0] <= number

    @property
    def confirmed(self) -> bool:
        """Whether reports may be sent. After an open it takes a word of the hub, by `committed`."""
        return self._unconfirmed_after is None

    async def __aenter__(self) -> Self:
        found = await self._journal.open()
        if found is not None:
            self.incarnation, self._last, self.boots = found.incarnation, found.last, found.boots
            self.pending.extend(found.reports)
            # What was added before anything was confirmed could not be sent, also not by a process before this one.
            self._unconfirmed_after = found.last if found.unconfirmed_after is None else found.unconfirmed_after
            return self
        try:
            await self._begin(())
        except Transient:
            await self._journal.close(0)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._journal.close(self._forget_through)

    async def add(self, body: bytes) -> int:
        """The number of a report, once it is on disk; it is given anew with the incarnation. Raises `Transient` where the
        disk refuses it."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._arriving.append((body, future))
        self._wake_writer()
        return await future

    def committed(self, through: int) -> None:
        """Takes the hub's word that it has everything of this incarnation up to and including `through`. That is forgotten,
        and leaves the disk with a later group; but where it is more than can have been sent from here, nothing is."""
        if self.confirmed and through > self._last:
            self._unconfirmed_after = self._last
        if self._unconfirmed_after is not None:
            self._told = max(through, self._told or 0)
            self._wake_writer()
            if through > self._unconfirmed_after:
                return
        while self.pending and self.pending[0][0] <= through:
            self.pending.popleft()
        self._forget_through = max(self._forget_through, through)

    async def take(self, boot: int, *, anew: bool) -> None:
        """Keeps a start of the agent before anybody is told of it. `anew`: another agent has run under this one's name since
        the disk was this one's alone, so the outbox becomes another one with all that is pending, and the start is the only one
        that it knows of: numbers that both gave would be taken for one another. Raises `Transient`."""
        assert self._boot is None, "one start is taken at a time"
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._boot = boot, anew, future
        self._wake_writer()
        await future

    @property
    def forgotten_through(self) -> int:
        """The number up to which nothing is left here: the hub has said that it has it."""
        return self.pending[0][0] - 1 if self.pending else self._last

    def doubt(self) -> None:
        """The hub seems to have less than it said that it had. Nothing is sent until it has told again how far it is."""
        if self._unconfirmed_after is None:
            self._unconfirmed_after = self._last
            self.grown.set()

    def _wake_writer(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="outbox")

    async def _write(self) -> None:
        while self._told is not None or self._arriving or self._boot is not None:
            if self._boot is not None:
                await self._take(*self._boot)
            if self._told is not None:
                await self._judge(self._told)
            if self._arriving:
                await self._write_group()
        self._writing = None

    async def _write_group(self) -> None:
        group, self._arriving = self._arriving[:GROUP_REPORTS], self._arriving[GROUP_REPORTS:]
        try:
            await self._keep([body for body, _ in group], self._unconfirmed_after)
        except Transient as error:
            self._refuse(error.message)
            for _, future in group:
                if not future.done():
                    future.set_exception(Transient(error.message))
            return
        for number, (body, future) in enumerate(group, self._last + 1):
            self.pending.append((number, body))
            if not future.done():
                future.set_result(number)
        self._last += len(group)
        self.grown.set()

    async def _take(self, boot: int, anew: bool, future: "asyncio.Future[None]") -> None:  # noqa: FBT001 - private
        self._boot = None
        try:
            if anew:
                _log.warning(
                    "another agent of this name has run; the outbox becomes another one", former=self.incarnation
                )
                await self._begin([body for _, body in self.pending], boot)
            else:
                await self._journal.take(boot)
        except Transient as error:
            self._refuse(error.message)
            if not future.done():
                future.set_exception(Transient(error.message))
            return
        self.boots = (boot,) if anew else (*self.boots, boot)
        if not future.done():
            future.set_result(None)

    def _refuse(self, why: str) -> None:
        if not self._refused:
            _log.warning("the outbox cannot be written; no new work is begun", error=why, pending=len(self.pending))
        self._refused = why

    async def _judge(self, told: int) -> None:
        """Confirms this incarnation or begins another one. Where the disk refuses that, nothing is sent until the hub is asked
        and tells again."""
        assert self._unconfirmed_after is not None
        try:
            if told > self._unconfirmed_after or told < self.forgotten_through:
                _log.warning(
                    "an older copy of this outbox's disk, or of the hub's database, was put back; it becomes another one",
                    incarnation=self.incarnation,
                    held=self._unconfirmed_after,
                    forgotten=self.forgotten_through,
                    committed=told,
                    pending=len(self.pending),
                )
                await self._begin([body for _, body in self.pending])
            else:
                await self._keep((), None)
                if self._told != told:  # it has told of more meanwhile
                    return
                self._unconfirmed_after = None
        except Transient as error:
            _log.warning("the outbox stays unconfirmed", error=error.message)
        else:
            self.grown.set()
        self._told = None

    async def _begin(self, bodies: Sequence[bytes], boot: int | None = None) -> None:
        incarnation = self._new_incarnation()
        await self._journal.begin(incarnation, bodies, boot=boot)
        self.incarnation, self._last, self._forget_through = incarnation, len(bodies), 0
        self._owed = incarnation, len(bodies), self._owed[2]
        self._unconfirmed_after = None
        self.pending = deque(enumerate(bodies, 1))

    async def _keep(self, bodies: Sequence[bytes], unconfirmed_after: int | None) -> None:
        await self._journal.write(
            self._last + 1, bodies, forget_through=self._forget_through, unconfirmed_after=unconfirmed_after
        )
