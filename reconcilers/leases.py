"""leases: agents that ask for their attempts of exclusive jobs → for how long these may run on; and once nothing was granted
for so long that nothing of an attempt can run, its chunk goes elsewhere.

Who was granted what is no fact of the graph, and is not written anywhere. One replica grants for an edge, and decides of it:
who holds its shard. It is asked at the store whether this one still does after a question has come, so nothing is granted to a
question that was asked after another replica took the shard over; and that one takes what is there for granted just then.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Fence, Unit
from datamodel.errors import Invalid, Transient
from datamodel.feed.ports import Messages
from datamodel.kinds import SYSTEM
from datamodel.names import check_name, last_name
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling import leases as wire
from datamodel.scheduling import windows
from datamodel.scheduling.attempts import ABANDON
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.giving_up import LEASE_OVER
from datamodel.scheduling.wire import Committed, committed_subject
from reconcilers.abandoning import ALIVE, alive, give_up
from reconcilers.places import key_of
from reconcilers.planning.leases import CUT, granted, over
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
EDGES_LIMIT = 100_000
"""Whose questions may wait."""
QUESTIONS_LIMIT = 8
"""Of one edge, that may wait; the newest are answered."""
GRANTED_LIMIT = 1_000_000
ACTOR = Actor("leases", SYSTEM)
_log = structlog.get_logger("leases")


class _Question(NamedTuple):
    """Of an agent for attempts of one edge, by their names."""

    agent: str
    boot: int
    number: int
    attempts: list[str]


class Leases:
    """Grants, and decides. The key is `SITE/EDGE`. Times are the loop's."""

    name = "leases"
    shards = 4
    resync_s = 300.0

    def __init__(
        self,
        store: Store,
        appender: Appender,
        reads: Reads,
        messages: Messages,
        hosts: Callable[[str, str, str], bool],
    ) -> None:
        """`hosts(site, agent, edge)` says whether an edge is one of an agent's that was heard just now."""
        self._store = store
        self._appender = appender
        self._reads = reads
        self._messages = messages
        self._hosts = hosts
        self._wake: Callable[[str], bool] = lambda _: False
        self._questions: dict[str, deque[_Question]] = {}
        self._took_over: dict[str, tuple[int, float]] = {}
        self._over_s: dict[str, float] = {}
        """By attempt, when nothing of it can run any more: of those that were granted something."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Edge": _on_edge, "Attempt": _on_attempt}

    async def listen(self, wake: Callable[[str], bool]) -> None:
        """Subscribes to all agents' questions; `wake(key)` must lead to `reconcile(key)`, or say that it does not."""
        self._wake = wake
        await self._messages.subscribe(wire.ask_subject("*", "*"), self._on_ask)

    async def keys(self) -> list[str]:
        """The edges where something has a lease."""
        keys: set[str] = set()
        after = ""
        while attempts := await self._store.list_nodes("Attempt", after=after, limit=PAGE, phases=ALIVE):
            keys |= {key_of(attempt.path) for attempt in attempts if "leaseS" in attempt.spec}
            after = attempts[-1].path
        return sorted(keys)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        took_over_s = self._took_over_s(fence)
        questions = self._questions.pop(key, ())
        site, _, name = key.partition("/")
        leased: list[Node] = []
        async for attempts in alive(self._store, desired_path(site, name)):
            leased += [attempt for attempt in attempts if "leaseS" in attempt.spec]
        if not leased:
            return None
        for question in questions:
            await self._answer(site, question, leased, fence)
        edge = await self._reads.node(inventory_path(site, name))
        now_s = asyncio.get_running_loop().time()

        def left_s(attempt: Node) -> float:
            untold_s = took_over_s + wire.over_after_s(attempt.spec["leaseS"])
            return max(untold_s, self._over_s.get(attempt.path, 0.0)) - now_s

        found = over(leased, edge.phase if edge is not None else "", left_s)
        await give_up(found.attempts, self._appender, ACTOR, fence, LEASE_OVER)
        for attempt in found.attempts:
            self._over_s.pop(attempt.path, None)
            _log.info("a lease is over, and its chunk goes elsewhere", attempt=attempt.path)
        return found.next_s

    def _took_over_s(self, fence: Fence) -> float:
        """When the shard became this replica's, at the latest: whatever others granted was asked for before."""
        token, since_s = self._took_over.get(fence.lease, (0, 0.0))
        if token != fence.token:
            since_s = asyncio.get_running_loop().time()
            self._took_over[fence.lease] = fence.token, since_s
        return since_s

    async def _answer(self, site: str, question: _Question, leased: Sequence[Node], fence: Fence) -> None:
        """What is not answered is asked again. Only an agent's newest start is granted anything; another one is told which that
        is: a clone ends then, and whom the database has forgotten, since an older state of it was put back, tells of itself."""
        agent = f"{site}/{question.agent}"
        newest = (await self._store.marks([agent])).get(agent, 0)
        if question.boot != newest:
            word = Committed("", 0, speaks=windows.SPEAKS, boot=newest)
            await self._say(committed_subject(site, question.agent), wire.encode(word))
            return
        found = granted(leased, question.attempts)
        if not found:
            return
        await self._appender.append(Unit((), ACTOR, fence=fence))  # raises where another replica has the shard by now
        now_s = asyncio.get_running_loop().time()
        if len(self._over_s) + len(found) > GRANTED_LIMIT:
            self._over_s = {path: over_s for path, over_s in self._over_s.items() if over_s > now_s}
            if len(self._over_s) + len(found) > GRANTED_LIMIT:
                _log.error("too much is granted already", agent=agent, attempts=len(found))
                return
        for attempt in found:
            self._over_s[attempt.path] = now_s + wire.over_after_s(attempt.spec["leaseS"])
        holds = {last_name(attempt.path): attempt.spec["leaseS"] for attempt in found}
        await self._say(
            wire.answer_subject(site, question.agent), wire.encode(wire.LeaseAnswer(question.number, holds))
        )

    async def _say(self, subject: str, body: bytes) -> None:
        try:
            await self._messages.publish(subject, body)
        except Transient as error:
            _log.info("a question for leases is not answered; the agent will ask again", error=error.message)

    def _on_ask(self, subject: str, body: bytes) -> None:
        _, site, agent = subject.split(".")
        try:
            ask = wire.decode_ask(body)
            check_name(site, "/site")
            check_name(agent, "/agent")
        except (Invalid, *wire.UNREADABLE) as error:
            _log.warning("a question for leases cannot be read", agent=f"{site}/{agent}"[:160], error=str(error)[:512])
            return
        if (ask.site, ask.agent) != (site, agent) or len(ask.attempts) > wire.ASKED_LIMIT:
            _log.warning("a question for leases is no agent's own", agent=f"{site}/{agent}")
            return
        asked: dict[str, list[str]] = {}
        for held in ask.attempts:
            if self._hosts(site, agent, held.edge):
                asked.setdefault(f"{site}/{held.edge}", []).append(held.attempt)
        for key, names in asked.items():
            if (key in self._questions or len(self._questions) < EDGES_LIMIT) and self._wake(key):
                waiting = self._questions.setdefault(key, deque(maxlen=QUESTIONS_LIMIT))
                waiting.append(_Question(agent, ask.boot, ask.number, names))


def _on_edge(change: Change) -> Iterable[Wake]:
    edge = change.node
    return (Wake(key_of(change.path)),) if edge is not None and edge.phase in CUT else ()


def _on_attempt(change: Change) -> Iterable[Wake]:
    """One that is new, maybe where nobody is heard any more, or that is to leave its edge."""
    attempt = change.node
    if attempt is None or "leaseS" not in attempt.spec or attempt.phase not in ALIVE:
        return ()
    is_new = attempt.version == attempt.created_version
    return (Wake(key_of(change.path)),) if is_new or attempt.spec["intent"] == ABANDON else ()
