"""desk: what agents may not do at JetStream themselves, done for them.

A consumer delivers to whichever subject its maker names, and a stream's state names all subjects in it: the server checks
neither against who asks. So agents are allowed nothing of that, and ask here; answers go where the asking agent alone may hear
them, never to a subject that it has chosen. One of the replicas that listen gets a question.
"""

import asyncio
import contextlib
import math
from collections.abc import Sequence

import structlog

from datamodel.artifacts.jetstream import JetPieces
from datamodel.errors import Forbidden, Invalid, TendrilError, Transient
from datamodel.feed.bus import Bus, honour_cancellation
from datamodel.feed.consumers import JetConsumers, Place
from datamodel.names import check_name
from datamodel.ports import Store
from datamodel.scheduling.credentials import credential_path
from datamodel.scheduling.desk import (
    UNREADABLE,
    Answer,
    Errand,
    Follow,
    Leave,
    Limit,
    Newest,
    Numbers,
    Renew,
    Wait,
    answer_subject,
    decode_question,
    encode,
    feed_subject,
    question_subject,
)
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.permissions import EDGES_LISTED
from reconcilers.identities import Identities

QUESTIONS_LIMIT = 4_096
"""Questions that wait. Of more, those that come are dropped: they are asked again."""
WORKERS = 32
BODY_LIMIT_BYTES = 16 * 1024
_log = structlog.get_logger("desk")


class Desk:
    """Of one replica."""

    def __init__(self, bus: Bus, store: Store, identities: Identities) -> None:
        self._bus = bus
        self._identities = identities
        self._store = store
        self._consumers = JetConsumers(bus)
        self._pieces = JetPieces(bus)
        self._asked: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(QUESTIONS_LIMIT)

    async def run(self) -> None:
        """Answers until it is cancelled. Raises `Transient` where it cannot begin to listen."""
        await self._bus.subscribe(question_subject("*", "*"), self._on_question, queue="desk")
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"desk/{number}")

    def _on_question(self, subject: str, body: bytes) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._asked.put_nowait((subject, body))

    async def _work(self) -> None:
        while True:
            subject, body = await self._asked.get()
            try:
                await self._serve(subject, body)
            except TendrilError as error:
                _log.warning("a question is not answered", subject=subject[:160], error=error.message[:512])
            except UNREADABLE as error:
                _log.warning("a question cannot be read", subject=subject[:160], error=str(error)[:512])
            honour_cancellation()

    async def _serve(self, subject: str, body: bytes) -> None:
        if len(body) > BODY_LIMIT_BYTES:
            raise Invalid(f"a question has at most {BODY_LIMIT_BYTES} bytes")
        _, site, agent = subject.split(".")
        check_name(site)
        check_name(agent)
        question = decode_question(await self._identities.opened(subject, body))
        name = await self._identities.public_key(site, agent)  # a server on the way sees that there is such a consumer
        try:
            if isinstance(question.asked, Renew):
                answer = Answer(question.number, jwt=await self._signed(site, agent))
            else:
                answer = Answer(question.number, numbers=await self._answer(site, agent, name, question.asked))
        except (Forbidden, Transient) as error:
            _log.info("an agent is not served", agent=f"{site}/{agent}", error=error.message)
            answer = Answer(question.number, error.message)
        await self._bus.publish(answer_subject(site, agent), encode(answer))

    async def _signed(self, site: str, agent: str) -> str:
        path = credential_path(site, agent)
        credential = (await self._store.nodes([path])).get(path)
        return credential.status.get("jwt", "") if credential is not None else ""

    async def _answer(self, site: str, agent: str, name: str, asked: Errand) -> list[int]:
        """`name` is that of the agent's one consumer."""
        match asked:
            case Newest():
                stream = await self._consumers.newest()
                return [stream.epoch, stream.last, stream.present] if stream is not None else []
            case Follow():
                await self._consumers.remove(asked.epoch, name)  # the one of before delivers elsewhere
                place = Place(name, feed_subject(site, agent, asked.inbox))
                prefixes = self._prefixes(site, agent, asked.edges)
                return [await self._consumers.make(asked.epoch, place, prefixes, asked.after, asked.heartbeat_s)]
            case Wait():
                waiting = await self._consumers.waiting(asked.epoch, name)
                return [waiting.messages] if waiting.sent is None else [waiting.messages, waiting.sent]
            case Leave():
                await self._consumers.remove(asked.epoch, name)
                return []
            case Numbers():
                of, edge, *_ = *asked.key.split("."), ""
                if of != site or not self._identities.hosts(site, agent, edge):
                    raise Forbidden(f"{asked.key} is another's")
                return sorted(await self._pieces.numbers(asked.key))
            case Limit():
                limit_bytes = await self._pieces.limit_bytes()
                return [int(limit_bytes)] if math.isfinite(limit_bytes) else []

    def _prefixes(self, site: str, agent: str, edges: Sequence[str]) -> list[str]:
        """What an agent may follow: its edges, or, where it hosts more than can be named, its site. Raises `Forbidden` where
        one of the edges is another's."""
        for edge in edges:
            if not self._identities.hosts(site, agent, edge):
                raise Forbidden(f"the edge {edge[:80]} is another's")
        if not edges and self._identities.count(site, agent) <= EDGES_LISTED:
            raise Forbidden("the site is not an agent's of few edges")
        return [f"{desired_path(site, edge)}/attempts" for edge in edges] or [f"/desired-config/sites/{site}/edges"]
