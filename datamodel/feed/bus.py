"""The connection to NATS that a program's parts share."""

import asyncio
import contextlib
from collections.abc import Callable

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamManager

from datamodel.errors import Transient
from datamodel.feed.ports import Received

_log = structlog.get_logger("bus")

NATS_FAILURES = (nats.errors.Error, OSError, TimeoutError)
"""What nats-py raises when the server, the connection or an answer fails (its own timeout is a builtin TimeoutError too)."""


REQUEST_TIMEOUT_S = 3.0
"""For an answer of JetStream's."""


class Bus:
    """A client that reconnects for ever, and tells who asked when it did. It is the port `Messages`; `client` is for who
    needs more of NATS."""

    def __init__(self, client: Client, reconnected: list[Callable[[], None]]) -> None:
        self.client = client
        self._reconnected = reconnected

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    @property
    def manager(self) -> JetStreamManager:
        """Of streams and consumers. What it asks is answered within the timeout, or fails."""
        return self.client.jsm(timeout=REQUEST_TIMEOUT_S)

    async def publish(self, subject: str, body: bytes) -> None:
        try:
            await self.client.publish(subject, body)
        except NATS_FAILURES as error:
            raise Transient(f"NATS did not take a message: {error}") from error

    async def subscribe(self, subject: str, received: Received) -> None:
        async def on_message(message: Msg) -> None:
            received(message.subject, message.data)

        try:
            await self.client.subscribe(subject, cb=on_message)
        except NATS_FAILURES as error:
            raise Transient(f"NATS did not take a subscription: {error}") from error

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """`call()` runs after every reconnection: subscriptions are back then, consumers and answers may be lost."""
        self._reconnected.append(call)

    def off_reconnect(self, call: Callable[[], None]) -> None:
        self._reconnected.remove(call)

    async def close(self) -> None:
        """Leaves; what was not sent yet is lost, as with any cut."""
        # Without a server the client still writes to its last transport, which says so in its own way.
        with contextlib.suppress(RuntimeError, *NATS_FAILURES):
            await self.client.close()


def honour_cancellation() -> None:
    """Raises `CancelledError` where this task was cancelled and does not know it yet.

    A cancellation that comes together with what was waited for is swallowed by nats-py (when it flushes) and by Python
    3.11's `wait_for` (in its requests). A loop that talks to NATS asks once a turn, or it could never be ended.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def connect(url: str, name: str) -> Bus:
    """Connects, and keeps trying for as long as it takes. Raises `Transient` where the server refuses the credentials."""
    reconnected: list[Callable[[], None]] = []

    async def on_error(error: Exception) -> None:
        _log.warning("nats error", error=f"{type(error).__name__}: {error}")

    async def on_reconnect() -> None:
        _log.info("nats reconnected")
        for call in tuple(reconnected):
            call()

    try:
        client = await nats.connect(
            url,
            name=name,
            error_cb=on_error,
            reconnected_cb=on_reconnect,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
            ping_interval=5,
            max_outstanding_pings=2,
            skip_subject_validation=True,
        )
    except NATS_FAILURES as error:
        raise Transient(f"NATS at {url.rpartition('@')[2]} refused the connection: {error}") from error
    return Bus(client, reconnected)
