"""identities: whether what an agent tells is its own. A subject says who may have sent a message; its signature says who has.

Every replica knows the credentials of the agents that it hears, as the graph has them, and forgets one when it changes.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import structlog

from datamodel.command import Fence
from datamodel.errors import Forbidden, Transient
from datamodel.feed.ports import Messages, Received
from datamodel.identity import envelope
from datamodel.identity.nkeys import Verifier
from datamodel.node import Node
from datamodel.ports import Change
from datamodel.reads import Reads
from datamodel.scheduling import wire
from datamodel.scheduling.credentials import REFUSED, credential_path, holder_of
from reconcilers.planning.credentials import is_worth_something
from reconcilers.runtime.controller import Wake, Watch
from reconcilers.runtime.metrics import Metrics

KNOWN_LIMIT = 100_000
WAITING_LIMIT = 1_024
"""Messages that wait until it is known whose they are; beyond, they are dropped: they are sent again."""
KNOWN_S = 60.0
"""For how long a credential is believed to be as it was, though no word came that it has changed."""
TOLD_S = 1.0
"""How often refusals are logged at most; all are counted."""
Wants = Callable[[str, str, int], bool]
"""Whether what an agent of a site says, which has so many edges, concerns this replica."""
UNKNOWN = "nobody of that name is known, or no more"
_log = structlog.get_logger("identities")


class Identity(NamedTuple):
    """An agent as the graph knows it. `expires_s`: since 1970."""

    public_key: str
    verifier: Verifier
    edges: int
    expires_s: float
    until_s: float
    """When to look again, by the loop's clock."""


class Identities:
    """The credentials that this replica has looked up. It is a reconciler of nothing: it follows what changes of them."""

    name = "identities"
    shards = 1
    resync_s = 3600.0

    def __init__(self, reads: Reads, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._reads = reads
        self._metrics = metrics
        self._clock = clock
        self._known: dict[str, Identity | None] = {}
        self._looking: dict[str, asyncio.Task[Identity | None]] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self._told_s = 0.0

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Credential": self._on_change}

    async def keys(self) -> list[str]:
        return []

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del key, fence
        return None

    def hosts(self, site: str, agent: str, edge: str) -> bool:
        """Whether an edge is one of an agent's, whose messages were opened here just now."""
        identity = self._known.get(f"{site}/{agent}")
        if identity is None:
            return False
        return wire.is_hosted(agent, edge, identity.edges)

    def count(self, site: str, agent: str) -> int:
        """How many edges an agent has, whose messages were opened here just now."""
        identity = self._known.get(f"{site}/{agent}")
        return identity.edges if identity is not None else 0

    async def opened(self, subject: str, data: bytes) -> bytes:
        """What the agent that the subject names has said. Raises `Forbidden` where it has not, and `Transient`."""
        return self._checked(subject, data, await self._identity(*_sender(subject)))

    async def public_key(self, site: str, agent: str) -> str:
        """The one by which an agent is known. Raises `Forbidden` where it is not, and `Transient`."""
        identity = await self._identity(site, agent)
        if identity is None:
            raise Forbidden(UNKNOWN)
        return identity.public_key

    def opening(self, subject: str, data: bytes, received: Received, wants: Wants) -> None:
        """Has `received` get what was said, where it is wanted: now where the agent is known, or as soon as it is. What is not
        its own is dropped, counted and logged."""
        try:
            site, agent = _sender(subject)
            identity = self._present(f"{site}/{agent}")
            if identity is not None:
                self._open(subject, data, identity, received, wants)
                return
        except Forbidden as error:
            self._refuse(subject, error.message)
            return
        if len(self._waiting) < WAITING_LIMIT:
            task = asyncio.ensure_future(self._open_later(subject, data, received, wants))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _open_later(self, subject: str, data: bytes, received: Received, wants: Wants) -> None:
        try:
            self._open(subject, data, await self._look(*_sender(subject)), received, wants)
        except Forbidden as error:
            self._refuse(subject, error.message)
        except Transient as error:
            _log.info(
                "a message is dropped: its sender cannot be looked up", subject=subject[:160], error=error.message
            )

    def _open(self, subject: str, data: bytes, identity: Identity | None, received: Received, wants: Wants) -> None:
        if identity is None or wants(*_sender(subject), identity.edges):
            received(subject, self._checked(subject, data, identity))

    def _checked(self, subject: str, data: bytes, identity: Identity | None) -> bytes:
        if identity is None:
            raise Forbidden(UNKNOWN)
        if self._clock().timestamp() >= identity.expires_s:
            raise Forbidden("the credential has expired")
        return envelope.opened(identity.verifier, subject, data)

    async def _identity(self, site: str, agent: str) -> Identity | None:
        return self._present(f"{site}/{agent}") or await self._look(site, agent)

    def _present(self, key: str) -> Identity | None:
        """What is known, unless it is too old to be believed."""
        identity = self._known.get(key)
        if identity is None or asyncio.get_running_loop().time() >= identity.until_s:
            return None
        return identity

    async def _look(self, site: str, agent: str) -> Identity | None:
        key = f"{site}/{agent}"
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = asyncio.ensure_future(self._read(key, credential_path(site, agent)))
            task.add_done_callback(lambda done: self._looked(key, done))
        return await asyncio.shield(task)

    async def _read(self, key: str, path: str) -> Identity | None:
        identity = _identity(await self._reads.node(path), asyncio.get_running_loop().time() + KNOWN_S)
        if len(self._known) >= KNOWN_LIMIT:
            self._known.clear()
        if self._looking.get(key) is asyncio.current_task():  # else it has changed since
            self._known[key] = identity
        return identity

    def _looked(self, key: str, task: asyncio.Task[Identity | None]) -> None:
        if self._looking.get(key) is task:
            del self._looking[key]

    def _on_change(self, change: Change) -> Iterable[Wake]:
        key = "/".join(holder_of(change.path))
        if key in self._known or key in self._looking:
            self._known.pop(key, None)
            self._looking.pop(key, None)
        return ()

    def _refuse(self, subject: str, reason: str) -> None:
        self._metrics.count(self.name, "refused")
        now_s = asyncio.get_running_loop().time()
        if now_s - self._told_s >= TOLD_S:
            self._told_s = now_s
            refused = self._metrics.counts[self.name, "refused"]
            _log.warning("a message is refused", subject=subject[:160], reason=reason, refused=refused)


class Verified:
    """The port `Messages` as reconcilers have it: of what agents say, they hear what is signed as it must be. What concerns
    another replica is not checked by this one."""

    def __init__(self, messages: Messages, identities: Identities, wants: Wants) -> None:
        self._messages = messages
        self._identities = identities
        self._wants = wants

    @property
    def connected(self) -> bool:
        return self._messages.connected

    async def publish(self, subject: str, body: bytes) -> None:
        await self._messages.publish(subject, body)

    async def subscribe(self, subject: str, received: Received) -> None:
        await self._messages.subscribe(
            subject, lambda told, data: self._identities.opening(told, data, received, self._wants)
        )

    def on_reconnect(self, call: Callable[[], None]) -> None:
        self._messages.on_reconnect(call)


def _sender(subject: str) -> tuple[str, str]:
    """The site and the agent that a subject names. Raises `Forbidden`."""
    parts = subject.split(".")
    if len(parts) != 3:
        raise Forbidden("the subject names no agent")
    return parts[1], parts[2]


def _identity(node: Node | None, until_s: float) -> Identity | None:
    if node is None or not is_worth_something(node) or node.status.get("phase") == REFUSED:
        return None
    expires = node.status.get("expiresAt")
    expires_s = datetime.fromisoformat(expires).timestamp() if expires is not None else float("inf")
    public_key = node.spec["publicKey"]
    return Identity(public_key, Verifier(public_key), node.spec["count"], expires_s, until_s)
