"""Asking the hub for the secrets of attempts. The key that answers are sealed to is made at the start, and never on a disk."""

import base64
import secrets
from collections.abc import Callable

import structlog
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from datamodel.errors import Transient
from datamodel.feed.ports import Messages
from datamodel.scheduling.handover import (
    NONCE_BYTES,
    UNREADABLE,
    WIRE_VERSION,
    Answer,
    Ask,
    Handed,
    answer_subject,
    ask_subject,
    decode_answer,
    decode_handed,
    encode,
)

ASKED_LIMIT = 4_096
"""Attempts that wait for an answer; of more, the one that has waited longest is asked for anew."""
_log = structlog.get_logger("secrets")


class Asking:
    """Of one agent. An answer to anything but the last question about an attempt is dropped."""

    def __init__(self, messages: Messages, site: str, agent: str) -> None:
        key = PrivateKey.generate()
        self.public_key = base64.b64encode(bytes(key.public_key)).decode()
        self._box = SealedBox(key)
        self._messages = messages
        self._site, self._agent = site, agent
        self._asked: dict[str, str] = {}
        self._told: Callable[[str, Handed | Answer], None] = lambda _, __: None

    async def listen(self, told: Callable[[str, Handed | Answer], None]) -> None:
        """`told(attempt, what)` gets the values of an attempt, or an answer with the reason why there are none."""
        self._told = told
        await self._messages.subscribe(answer_subject(self._site, self._agent), self._on_answer)

    async def ask(self, edge: str, attempt: str) -> None:
        """Asks, once more if need be. It may be lost; without a connection, nothing is sent."""
        nonce = self._asked.pop(attempt, None) or secrets.token_hex(NONCE_BYTES)
        self._asked[attempt] = nonce
        if len(self._asked) > ASKED_LIMIT:
            del self._asked[next(iter(self._asked))]
        if not self._messages.connected:
            return
        ask = Ask(WIRE_VERSION, self._site, self._agent, edge, attempt, nonce)
        try:
            await self._messages.publish(ask_subject(self._site, self._agent), encode(ask))
        except Transient as error:
            _log.info("secrets could not be asked for", attempt=attempt, error=error.message)

    def forget(self, attempt: str) -> None:
        """It is not waited for any more."""
        self._asked.pop(attempt, None)

    def _on_answer(self, _: str, body: bytes) -> None:
        try:
            answer = decode_answer(body)
        except UNREADABLE:
            _log.warning("an answer about secrets cannot be read")
            return
        if self._asked.get(answer.attempt) != answer.nonce:
            return
        told: Handed | Answer = answer
        if not answer.reason:
            try:
                told = decode_handed(self._box.decrypt(answer.sealed))
            except (CryptoError, *UNREADABLE):  # sealed to a key of before; the hub learns of the new one
                _log.info("secrets were sealed to another key", attempt=answer.attempt)
                return
            if (told.attempt, told.nonce) != (answer.attempt, answer.nonce):
                _log.warning("secrets were sealed for another question", attempt=answer.attempt)
                return
        del self._asked[answer.attempt]
        self._told(answer.attempt, told)
