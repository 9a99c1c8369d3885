"""joining: agents that have a token → known by a credential of their own, which is signed as any other."""

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from datamodel.appender import Appender
from datamodel.cause import MESSAGE
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import Forbidden, Invalid, Transient
from datamodel.feed.ports import Messages
from datamodel.identity import envelope
from datamodel.identity.nkeys import Verifier, check_public
from datamodel.kinds import SYSTEM
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.reads import Reads
from datamodel.scheduling.credentials import REFUSED, SIGNED, credential_path, token_path
from datamodel.scheduling.joining import (
    UNREADABLE,
    WIRE_VERSION,
    Join,
    Joined,
    decode_join,
    encode,
    join_subject,
    joined_subject,
)
from datamodel.scheduling.wire import hosted_edges
from reconcilers.planning.credentials import is_worth_something
from reconcilers.runtime.controller import Watch

ASKS_LIMIT = 256
"""Agents that wait at one token. What comes beyond is dropped: it is asked again."""
TOKENS_LIMIT = 1_000
BODY_LIMIT_BYTES = 1_024
ACTOR = Actor("joining", SYSTEM)
_log = structlog.get_logger("joining")


class Joining:
    """Takes agents in. The key is `SITE/TOKEN`, so one use of a token comes after the other."""

    name = "joining"
    shards = 1
    resync_s = 3600.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, appender: Appender, reads: Reads, messages: Messages, clock: Callable[[], datetime]) -> None:
        self._appender = appender
        self._reads = reads
        self._messages = messages
        self._clock = clock
        self._asks: dict[str, dict[str, Join]] = {}
        self._wake: Callable[[str], bool] = lambda _: False

    async def listen(self, wake: Callable[[str], bool]) -> None:
        """Subscribes to all who ask to join; `wake(key)` must lead to `reconcile(key)`, or say that it does not."""
        self._wake = wake
        await self._messages.subscribe(join_subject("*", "*"), self._on_ask)

    async def keys(self) -> list[str]:
        return list(self._asks)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        site, _, token = key.partition("/")
        for public, join in self._asks.pop(key, {}).items():
            answer = await self._judged(site, token, join, fence)
            if answer.refused:
                _log.warning("an agent may not join", site=site, token=token, agent=join.agent, reason=answer.refused)
            try:
                await self._messages.publish(joined_subject(site, token, public), encode(answer))
            except Transient as error:  # it is asked again
                _log.info("an answer could not be told", agent=join.agent, error=error.message)
        return None

    def _on_ask(self, subject: str, body: bytes) -> None:
        _, site, token = subject.split(".")
        try:
            join = _opened(subject, body)
            check_name(site)
            check_name(token)
        except (Forbidden, Invalid, *UNREADABLE) as error:
            _log.warning("a wish to join cannot be read", subject=subject[:160], error=str(error)[:512])
            return
        key = f"{site}/{token}"
        if self._wake(key) and (key in self._asks or len(self._asks) < TOKENS_LIMIT):
            asks = self._asks.setdefault(key, {})
            if len(asks) < ASKS_LIMIT:
                asks[join.public_key] = join

    async def _judged(self, site: str, name: str, join: Join, fence: Fence) -> Joined:
        token, known = await self._reads.nodes(token_path(site, name), credential_path(site, join.agent))
        if known is not None and known.spec["publicKey"] == join.public_key:
            return _standing(known)
        if token is None or not is_worth_something(token):
            return Joined(refused="there is no such token")
        if datetime.fromisoformat(token.spec["expiresAt"]) <= self._clock():
            return Joined(refused="the token has expired")
        if known is not None:
            return Joined(refused=f"{join.agent} is known by another key: delete its credential first")
        used = token.status.get("used", 0)
        if used >= token.spec["uses"]:
            return Joined(refused=f"the token was used {used} times, as often as it may be")
        if join.count > token.spec["maxEdges"]:
            return Joined(refused=f"the token is for agents of {token.spec['maxEdges']} edges at most")
        spec = {"publicKey": join.public_key, "count": join.count, "validS": token.spec["validS"]}
        commands = (
            Command("patchStatus", token.path, {"used": used + 1}, expected_version=token.version),
            Command("create", credential_path(site, join.agent), spec),
        )
        await self._appender.write(Unit(commands, ACTOR, cause=MESSAGE, fence=fence))
        _log.info("an agent joins", site=site, token=name, agent=join.agent, edges=join.count)
        return Joined()


def _opened(subject: str, body: bytes) -> Join:
    """What an agent that wishes to join says, signed with the key that it names. Raises `Forbidden` where that has not signed
    it, `Invalid`, or what the decoder does."""
    if len(body) > BODY_LIMIT_BYTES:
        raise Invalid(f"a wish to join has at most {BODY_LIMIT_BYTES} bytes")
    join = decode_join(envelope.body_of(body))
    envelope.opened(Verifier(check_public(join.public_key, "user")), subject, body)
    if join.version != WIRE_VERSION:
        raise Invalid("it is in another version")
    check_name(join.agent)
    check_name(hosted_edges(join.agent, join.count)[-1])
    return join


def _standing(credential: Node) -> Joined:
    phase = credential.status.get("phase")
    if not is_worth_something(credential):
        return Joined(refused="its credential was revoked")
    if phase == REFUSED:
        return Joined(refused=credential.status["reason"])
    return Joined(jwt=credential.status["jwt"]) if phase == SIGNED else Joined()
