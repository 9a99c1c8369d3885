"""The agent's side of the hub's desk: what it may not do at JetStream itself, it asks for."""

import asyncio
import itertools
import secrets
from collections.abc import Sequence

import structlog

from agents.subtree import FILTERS_LIMIT, Subtree
from datamodel.errors import Transient
from datamodel.feed.consumers import Place, Waiting
from datamodel.feed.ports import Messages, Stream
from datamodel.scheduling.desk import (
    UNREADABLE,
    Answer,
    Asked,
    Follow,
    Leave,
    Limit,
    Newest,
    Numbers,
    Question,
    Renew,
    Wait,
    answer_subject,
    decode_answer,
    encode,
    feed_subject,
    question_subject,
)

ANSWER_TIMEOUT_S = 3.0
_log = structlog.get_logger("desk")


class Desk:
    """Of one agent. It is the ports `Consumers`, of what its edges are to do, and `Catalogue`, of its artifacts."""

    def __init__(self, messages: Messages, site: str, agent: str, edges: Sequence[str]) -> None:
        self._messages = messages
        self._site, self._agent = site, agent
        self._subtree = Subtree(site, edges)
        self._edges = list(edges) if len(edges) <= FILTERS_LIMIT else []
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        messages.on_reconnect(self._give_up)

    async def listen(self) -> None:
        """Subscribes to the answers, before anything is asked. Raises `Transient`."""
        await self._messages.subscribe(answer_subject(self._site, self._agent), self._on_answer)

    async def newest(self) -> Stream | None:
        found = await self._ask(Newest())
        return Stream(*found) if len(found) == 3 else None

    def place(self) -> Place:
        inbox = feed_subject(self._site, self._agent, secrets.token_hex(16))
        return Place(self._agent, inbox)  # the hub names it, since an agent has one

    async def make(
        self, epoch: int, place: Place, prefixes: Sequence[str], after: int | None, heartbeat_s: float
    ) -> int:
        assert prefixes == self._subtree.prefixes, "an agent follows what its edges are to do"
        nonce = place.inbox.rpartition(".")[2]
        return (await self._ask(Follow(epoch, nonce, self._edges, heartbeat_s, after)))[0]

    async def waiting(self, epoch: int, name: str) -> Waiting:
        del name
        messages, *sent = await self._ask(Wait(epoch))
        return Waiting(messages, sent[0] if sent else None)

    async def remove(self, epoch: int, name: str) -> None:
        del name
        await self._ask(Leave(epoch))

    async def numbers(self, key: str) -> set[int]:
        return set(await self._ask(Numbers(key)))

    async def limit_bytes(self) -> float:
        found = await self._ask(Limit())
        return found[0] if found else float("inf")

    async def renewed(self) -> str:
        """The JWT that was signed for the agent last; empty where none was. Raises `Transient`."""
        return (await self._answer(Renew())).jwt

    async def _ask(self, asked: Asked) -> list[int]:
        return (await self._answer(asked)).numbers

    async def _answer(self, asked: Asked) -> Answer:
        number = next(self._numbers)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[number] = answered
        try:
            if not self._messages.connected:
                raise Transient("NATS is not reached")
            body = encode(Question(number, asked))
            await self._messages.publish(question_subject(self._site, self._agent), body)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await answered
        except TimeoutError as error:
            raise Transient("the hub did not answer") from error
        finally:
            del self._asked[number]
        if answer.error:
            raise Transient(f"the hub refuses: {answer.error}")
        return answer

    def _on_answer(self, _: str, body: bytes) -> None:
        try:
            answer = decode_answer(body)
        except UNREADABLE:
            _log.warning("an answer of the hub cannot be read")
            return
        asked = self._asked.get(answer.number)
        if asked is not None and not asked.done():
            asked.set_result(answer)

    def _give_up(self) -> None:
        """After a reconnection: an answer may have been lost."""
        for number, asked in self._asked.items():
            if not asked.done():
                asked.set_result(Answer(number, "the connection was lost"))
