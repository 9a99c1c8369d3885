"""The connection to NATS that a program's parts share."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.js import JetStreamManager

from datamodel.errors import Forbidden, Transient
from datamodel.feed.access import Access
from datamodel.feed.ports import Received

_log = structlog.get_logger("bus")

NATS_FAILURES = (nats.errors.Error, OSError, TimeoutError)
"""What nats-py raises when the server, the connection or an answer fails (its own timeout is a builtin TimeoutError too)."""


_REFUSED = "authorization violation"
REQUEST_TIMEOUT_S = 3.0
"""For an answer of JetStream's."""
CONNECT_TIMEOUT_S = 10
"""For each step of a connection: on a line of 64 kbit/s, or one that loses a third, a handshake of TLS takes seconds."""
AGAIN_S = (0.5, 4.0)
"""How long who has lost its connection waits at most before it tries again: at first, and in the end."""


class Bus:
    """A client that reconnects for ever, and tells who asked when it did. It is the port `Messages`; `client` is for who
    needs more of NATS."""

    def __init__(
        self, client: Client, reconnected: list[Callable[[], None]], ended: asyncio.Event | None = None
    ) -> None:
        self.client = client
        self._reconnected = reconnected
        self._ended = ended if ended is not None else asyncio.Event()

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

    async def subscribe(self, subject: str, received: Received, *, queue: str = "") -> None:
        """Of all who listen with the same `queue`, one gets each message."""

        async def on_message(message: Msg) -> None:
            if message.headers:  # none of ours has any: a server's answer to one who chose this subject for it
                _log.warning("a message is none of ours", subject=message.subject)
                return
            received(message.subject, message.data)

        try:
            await self.client.subscribe(subject, queue=queue, cb=on_message)
        except NATS_FAILURES as error:
            raise Transient(f"NATS did not take a subscription: {error}") from error

    def on_reconnect(self, call: Callable[[], None]) -> None:
        """`call()` runs after every reconnection: subscriptions are back then, consumers and answers may be lost."""
        self._reconnected.append(call)

    def off_reconnect(self, call: Callable[[], None]) -> None:
        self._reconnected.remove(call)

    async def while_admitted(self, *works: Coroutine[Any, Any, None]) -> None:
        """Runs these until one of them ends; the others are cancelled then. Raises what it raises, and `Forbidden` when the
        server has ended the connection for good: what was shown there has expired, or is revoked."""
        tasks = [asyncio.ensure_future(work) for work in works]
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((*tasks, ended), return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    return task.result()
            raise Forbidden(f"NATS has ended the connection: {self.client.last_error}")
        finally:
            ended.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, ended, return_exceptions=True)

    async def renew(self) -> None:
        """Connects anew, to show what the credential's file holds now."""
        await self.client.force_reconnect()

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


async def connect(access: Access, name: str) -> Bus:
    """Connects, and keeps trying for as long as it takes. Raises `Forbidden` where the server refuses the credential, and
    `Invalid` where there is none to show."""
    access.check()
    reconnected: list[Callable[[], None]] = []
    ended = asyncio.Event()
    public = access.credential().key.public

    client = _Client()

    async def on_error(error: Exception) -> None:
        _log.warning("nats error", error=f"{type(error).__name__}: {error}")
        if _REFUSED in str(error).lower():  # it would say the same again
            if not joined:
                raise Forbidden(f"NATS at {access.url} refuses the credential of {name}") from error
            closing.append(asyncio.ensure_future(client.close()))

    async def on_reconnect() -> None:
        _log.info("nats reconnected")
        for call in tuple(reconnected):
            call()

    async def on_close() -> None:
        ended.set()

    joined: list[Bus] = []
    closing: list[asyncio.Future[None]] = []
    try:
        await client.connect(
            access.url,
            name=name,
            tls=access.tls(),
            user_jwt_cb=lambda: bytearray(access.credential().jwt.encode()),
            signature_cb=lambda nonce: access.credential().answer(nonce),
            inbox_prefix=access.inbox or f"_INBOX.{public}",
            error_cb=on_error,
            reconnected_cb=on_reconnect,
            closed_cb=on_close,
            max_reconnect_attempts=-1,
            connect_timeout=CONNECT_TIMEOUT_S,
            reconnect_time_wait=0.25,  # type: ignore[arg-type]  # a fraction does; of the first connection alone
            reconnect_to_server_handler=next_try,
            ping_interval=5,
            max_outstanding_pings=2,
            skip_subject_validation=True,
        )
    except NATS_FAILURES as error:
        raise Transient(f"NATS at {access.url} refused the connection: {error}") from error
    except BaseException:  # also where this is cancelled: nats-py leaves a line open that is being taken up
        with contextlib.suppress(*NATS_FAILURES):
            await client.close()
        raise
    bus = Bus(client, reconnected, ended)
    joined.append(bus)
    return bus


class _Client(Client):
    """Does not take leave of a server that is not heard from: nats-py waits for TLS' farewell, which takes half a minute on a
    line that is cut, before it tries again. And it ends when it is ended: nats-py's stops half way, and tells nobody, where a
    server that has shut the door does not take its last words."""

    async def _process_op_err(self, e: Exception) -> None:
        writer: asyncio.StreamWriter | None = getattr(self._transport, "_io_writer", None)
        if writer is not None and self.is_connected:
            writer.transport.abort()
        await super()._process_op_err(e)

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - nats-py's
        try:
            await super()._close(status, do_cbs)
        except OSError:
            self._pending, self._pending_data_size = [], 0
            self._status = Client.DISCONNECTED  # it would take itself for closed
            await super()._close(status, do_cbs)


def next_try(servers: Sequence[Server], _: Mapping[str, Any]) -> tuple[Server, float]:
    """Which server is tried next, and after how many seconds: at any moment within a time that doubles with every failure. So
    thousands that lose their server together do not come back together."""
    server = min(servers, key=lambda server: server.reconnects)
    first_s, last_s = AGAIN_S
    return server, random.uniform(0, min(last_s, first_s * 2 ** min(server.reconnects, 8)))  # noqa: S311 - spreads retries
