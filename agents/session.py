"""Which start of an agent this is, which version it speaks with its hub, and whether the hub believes it.

Each start takes a boot: a number that no other start has, above all that this disk and the hub know, on the disk before
anybody is told of it. The hub takes reports of the newest boot only (`datamodel/scheduling/windows.py`). So the agent that was
started last is believed: one that was put back to an older copy finds out which boot the hub has, and follows it. One that was
believed and is told of a newer boot has a clone: it is fenced, and stays so until it is started again, which is an operator's
word that it is the one that shall go on.
"""

import math
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

from agents.outbox import Outbox
from datamodel.scheduling import windows, wire

_log = structlog.get_logger("session")


def boottime_s() -> float:
    """CLOCK_BOOTTIME, which goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def luck() -> int:
    """Bits of chance for a boot."""
    return secrets.randbits(windows.BOOT_BITS)


class Session:
    """Of one process. `host` says where it runs, in words for people."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        host: str = "",
        draw: Callable[[], int] = luck,
        clock: Callable[[], float] = boottime_s,
    ) -> None:
        self._outbox = outbox
        self._host = host
        self._draw = draw
        self._clock = clock
        self._recorded: int | None = None
        self._accepted = False
        self._was_believed = False
        """Then a newer boot is another start's, also after the hub's database was put back to before this one."""
        self.boot = 0
        """Of this start; 0 until one is taken, since a hub of before knows none."""
        self.version = 0
        """Of the wire; 0 while that is not known."""
        self._follows = 0
        self._since_s = 0.0

    @property
    def fenced(self) -> bool:
        """A newer start of this agent is believed in this one's place."""
        return self._outbox.fenced

    @property
    def believed(self) -> bool:
        """Whether reports may be sent: the hub has said what it speaks, and takes this start for the newest."""
        return not self.fenced and (self.version == 1 or (self.version > 1 and self._accepted))

    @property
    def believed_for_s(self) -> float:
        """For how long, at the least, no other start of this agent has been believed: for ever, where there was none before."""
        if not self._accepted:
            return 0.0
        return self._clock() - self._since_s if self._follows else math.inf

    def doubt(self) -> None:
        """The hub does not answer: whichever answers next may be of an older version."""
        if self.version > windows.SPEAKS[0] and not self.fenced:
            self.version = 0

    async def prepare(self) -> None:
        """Takes a boot where the next window needs one. Raises `Transient` where the disk does not take it."""
        recorded = self._recorded
        if self.version < windows.SPEAKS[-1] or self.fenced or self._accepted or recorded is None:
            return
        known = self._outbox.boots
        if self.boot <= recorded:
            anew = recorded not in (0, *known)
            boot = windows.next_boot((*known, recorded), self._draw())
            await self._outbox.take(boot, anew=anew)
            self.boot, self._follows = boot, recorded

    def window(self, site: str, agent: str, first: int, reports: Sequence[msgspec.Raw]) -> wire.Window:
        """A window as the hub reads it; without reports, a question. It has no reports unless this start is believed."""
        incarnation, listed = self._outbox.incarnation, list(reports)
        assert not listed or self.believed
        if self.version < windows.SPEAKS[-1] or self._recorded is None:
            oldest = windows.SPEAKS[0]
            told = [windows.told_by(report, oldest) for report in listed]
            return wire.Window(oldest, site, agent, incarnation, first, told)
        after = windows.NO_BOOT if self.fenced else self._recorded
        return windows.Window(
            self.version, site, agent, incarnation, first, listed, boot=self.boot, after=after, host=self._host
        )

    def hear(self, answer: wire.Committed) -> bool:
        """Takes in what the hub says, to this process or to another one of its name. Whether it may be told by that how far the
        hub is: what is said to others, or by a hub that has not taken this start in yet, says nothing."""
        version = windows.common(answer.speaks)
        if self.version != version and not self.fenced:
            _log.info("the hub's version", version=version, offered=list(answer.speaks))
        self.version = version
        if version < windows.SPEAKS[-1]:
            return not self.fenced
        self._recorded = answer.boot
        if self.boot and answer.boot == self.boot:
            self._since_s = self._since_s if self._accepted else self._clock()
            self._accepted = self._was_believed = True
        elif self._was_believed and answer.boot > self.boot and not self.fenced:
            self._outbox.fenced = True
            _log.warning(
                "another agent of this name was started after this one, from a copy of its disk, and is believed in its place;"
                " this one begins and tells nothing any more: end one of the two, and start the other again",
                boot=self.boot,
                newer=answer.boot,
            )
        elif answer.boot < self.boot:
            self._accepted = False  # its database was put back to before it took this start in: that is told again
        return self.believed and answer.boot == self.boot
