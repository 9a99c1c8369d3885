"""The port `Messages` of one who signs all that it says."""

from collections.abc import Callable

from datamodel.feed.ports import Messages, Received
from datamodel.identity.envelope import seal
from datamodel.identity.nkeys import Key


class Signing:
    """Over another one. What it hears is as it was sent."""

    def __init__(self, messages: Messages, key: Key) -> None:
        self._messages = messages
        self._key = key

    @property
    def connected(self) -> bool:
        return self._messages.connected

    async def publish(self, subject: str, body: bytes) -> None:
        await self._messages.publish(subject, seal(self._key, subject, body))

    async def subscribe(self, subject: str, received: Received) -> None:
        await self._messages.subscribe(subject, received)

    def on_reconnect(self, call: Callable[[], None]) -> None:
        self._messages.on_reconnect(call)
