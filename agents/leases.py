"""Leases: attempts that may run only while the hub says so, and what ends them where it does not.

The agent asks for all of them again and again, and hands what it is granted to the runtime's guard, which is not the agent: a
killed agent's containers outlive it. A grant counts from the moment of its question, by CLOCK_BOOTTIME, so that nothing which
happens on the way makes it longer: neither a slow network nor a suspended machine.
"""

import asyncio
from collections.abc import Callable

import structlog

from agents.convergence import Desired
from agents.runtimes.protocol import Refusal, Runtime, Work
from agents.runtimes.reasons import UNSUPPORTED
from agents.session import Session, boottime_s
from datamodel.errors import TendrilError, Transient
from datamodel.feed.ports import Messages
from datamodel.scheduling import leases as wire
from datamodel.scheduling.attempts import ENDED, RUN

ASK_S = 2.0
"""How long to wait for an answer at most before asking again for what has no lease."""
QUESTIONS_KEPT = 64
_log = structlog.get_logger("leases")


class Leases:
    """Of one agent's attempts."""

    def __init__(
        self,
        messages: Messages,
        session: Session,
        runtime: Runtime,
        site: str,
        agent: str,
        *,
        clock: Callable[[], float] = boottime_s,
    ) -> None:
        self._messages, self._session, self._runtime = messages, session, runtime
        self._site, self._agent = site, agent
        self._clock = clock
        self._wanted: dict[str, Work] = {}
        self._until_s: dict[str, float] = {}
        self._asked_s: dict[int, float] = {}
        self._number = 0
        self._answers: list[wire.LeaseAnswer] = []
        self._woken = asyncio.Event()

    def look(self, name: str, desired: Desired | None) -> None:
        """Notes whether an attempt needs a lease now, or still."""
        if desired is not None and desired.work.lease_s and desired.intent == RUN and desired.phase not in ENDED:
            if name not in self._wanted:
                self._woken.set()
            self._wanted[name] = desired.work
        elif self._wanted.pop(name, None) is not None:
            self._until_s.pop(name, None)

    def rest_s(self, work: Work) -> float:
        """In how many seconds whatever another start of this agent was granted for it is over. Until then nobody knows of what
        is not found here that it does not run: it may beside another copy of this agent's disk."""
        return max(0.0, wire.over_after_s(work.lease_s) - self._session.believed_for_s) if work.lease_s else 0.0

    def may_run(self, work: Work) -> bool:
        """Whether something of it may run though nobody can look."""
        return work.attempt in self._until_s or self.rest_s(work) > 0

    def ready(self, work: Work) -> bool | Refusal:
        """Whether a step of it may be started now: its lease is young, and guarded."""
        if not self._runtime.guards:
            runtime = self._runtime.name
            why = (
                f"the {runtime} runtime of this edge cannot end an attempt without its agent, as an exclusive job needs"
            )
            return Refusal(UNSUPPORTED, why)
        return self._until_s.get(work.attempt, 0.0) - self._clock() > work.lease_s / wire.RENEWALS

    async def run(self, changed: Callable[[str], None]) -> None:
        """Asks until it is cancelled; `changed(attempt)` when one may be started."""
        await self._messages.subscribe(wire.answer_subject(self._site, self._agent), self._on_answer)
        while True:
            self._woken.clear()
            answers, self._answers = self._answers, []
            for answer in answers:
                await self._take(answer, changed)
            if not answers:
                await self._ask()
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._woken.wait()
            except TimeoutError:
                continue

    def _pause_s(self) -> float | None:
        if not self._wanted:
            return None
        lacking = any(name not in self._until_s for name in self._wanted)
        shortest_s = min(work.lease_s for work in self._wanted.values()) / wire.RENEWALS
        return min(shortest_s, ASK_S) if lacking else shortest_s

    async def _ask(self) -> None:
        """One question for all, since only what the hub still knows is to go on."""
        if not self._wanted or not self._messages.connected or not self._session.boot or not self._session.believed:
            return
        held = [wire.Held(work.edge, name) for name, work in sorted(self._wanted.items())]
        for start in range(0, len(held), wire.ASKED_LIMIT):
            self._number += 1
            self._asked_s[self._number] = self._clock()
            self._asked_s.pop(self._number - QUESTIONS_KEPT, None)
            some = tuple(held[start : start + wire.ASKED_LIMIT])
            ask = wire.LeaseAsk(wire.WIRE_VERSION, self._site, self._agent, self._session.boot, self._number, some)
            try:
                await self._messages.publish(wire.ask_subject(self._site, self._agent), wire.encode(ask))
            except Transient as error:
                _log.info("leases could not be asked for", error=error.message)
                return

    def _on_answer(self, _: str, body: bytes) -> None:
        try:
            self._answers.append(wire.decode_answer(body))
        except wire.UNREADABLE as error:
            _log.warning("an answer about leases cannot be read", error=str(error))
            return
        self._woken.set()

    async def _take(self, answer: wire.LeaseAnswer, changed: Callable[[str], None]) -> None:
        """An answer to no question of this process is another's. An older one that comes late takes nothing back."""
        asked_s = self._asked_s.get(answer.number)
        if asked_s is None:
            return
        for name, hold_s in answer.holds.items():
            until_s = asked_s + hold_s
            if name not in self._wanted or until_s <= self._until_s.get(name, 0.0):
                continue
            try:
                await self._runtime.lease(name, until_s)
            except TendrilError as error:  # it is asked for again; until then, the guard goes by what it has
                _log.warning("a lease could not be handed on", attempt=name, error=error.message)
                continue
            if name in self._wanted:
                is_new = name not in self._until_s
                self._until_s[name] = until_s
                if is_new:
                    changed(name)
