"""handover: what agents ask for, the secrets of an attempt → sealed to the edge that is to run it.

Nothing of it is written anywhere: an answer that is lost is asked for again.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence

import structlog
from nacl.public import PublicKey, SealedBox

from datamodel.command import Fence
from datamodel.errors import Invalid, Transient
from datamodel.feed.ports import Messages
from datamodel.names import check_name, last_name
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.attempts import claim_of
from datamodel.scheduling.edges import inventory_path
from datamodel.scheduling.handover import (
    NONCE_BYTES,
    UNREADABLE,
    WIRE_VERSION,
    Answer,
    Ask,
    Handed,
    answer_subject,
    decode_ask,
    encode,
)
from datamodel.secrets.ports import Revealing, Scope
from datamodel.secrets.value import revealed
from reconcilers.planning.handover import Denial, Grant, attempt_path, handed, judge
from reconcilers.runtime.controller import Watch

ASKS_LIMIT = 1_024
"""Questions of one agent that may wait. It asks again for what is dropped."""
AGENTS_LIMIT = 10_000
BODY_LIMIT_BYTES = 4_096
_log = structlog.get_logger("handover")


class Handover:
    """Answers questions. The key is `SITE/AGENT`."""

    name = "handover"
    shards = 4
    resync_s = 3600.0
    watches: Mapping[str, Watch] = {}

    def __init__(self, store: Store, revealing: Revealing, messages: Messages) -> None:
        self._store = store
        self._revealing = revealing
        self._messages = messages
        self._asks: dict[str, dict[str, Ask]] = {}
        self._wake: Callable[[str], bool] = lambda _: False

    async def listen(self, wake: Callable[[str], bool]) -> None:
        """Subscribes to all agents' questions; `wake(key)` must lead to `reconcile(key)`, or say that it does not."""
        self._wake = wake
        await self._messages.subscribe("secrets.*.*", self._on_ask)

    async def keys(self) -> list[str]:
        return list(self._asks)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        del fence  # nothing is written
        for ask in self._asks.pop(key, {}).values():
            try:
                await self._answer(ask)
            except (Invalid, Transient) as error:  # it is asked again
                _log.warning("secrets could not be handed over", agent=key, attempt=ask.attempt, error=error.message)
        return None

    def _on_ask(self, subject: str, body: bytes) -> None:
        _, site, agent = subject.split(".")
        try:
            ask = _checked(site, agent, body)
        except (Invalid, *UNREADABLE) as error:
            _log.warning("a question for secrets cannot be read", agent=f"{site}/{agent}"[:160], error=str(error)[:512])
            return
        key = f"{site}/{agent}"
        if not self._wake(key):
            return
        asks = self._asks.setdefault(key, {})
        if len(asks) < ASKS_LIMIT and len(self._asks) <= AGENTS_LIMIT:
            asks[ask.attempt] = ask

    async def _answer(self, ask: Ask) -> None:
        granted = await self._judged(ask)
        if isinstance(granted, str):
            _log.info(
                "secrets are not handed over", agent=f"{ask.site}/{ask.agent}", attempt=ask.attempt, reason=granted
            )
            return
        values = await self._values(granted)
        if isinstance(values, Denial):
            answer = Answer(ask.attempt, ask.nonce, reason=values.reason, message=values.message)
        else:
            answer = Answer(ask.attempt, ask.nonce, _sealed(granted.key, Handed(ask.attempt, ask.nonce, values)))
            _log.info(
                "secrets are handed over",
                agent=f"{ask.site}/{ask.agent}",
                attempt=ask.attempt,
                secrets=sorted(granted.uses),
            )
        await self._messages.publish(answer_subject(ask.site, ask.agent), encode(answer))

    async def _judged(self, ask: Ask) -> Grant | str:
        path = attempt_path(ask)
        nodes = await self._store.nodes([path, inventory_path(ask.site, ask.edge)])
        claim = claim_of(path)
        if claim is None:
            return "there is no such attempt"
        entries = await self._store.entries(claim.owner, after=claim.index - 1, limit=1)
        return judge(ask, nodes, next((entry for entry in entries if entry.index == claim.index), None))

    async def _values(self, grant: Grant) -> dict[str, dict[str, str]] | Denial:
        groups: Mapping[str, Node] = await self._store.nodes([grant.group])
        if grant.group not in groups:
            return Denial("SecretMissing", f"there is no group {grant.group}")
        scope = Scope(last_name(grant.group), groups[grant.group].uid)
        names: Sequence[str] = list(grant.uses)
        found = await self._revealing.reveal(scope, names)
        return handed(grant, {name: revealed(values) for name, values in found.items()})


def _checked(site: str, agent: str, body: bytes) -> Ask:
    """The question, which comes from this agent. Raises `Invalid`, or what the decoder does."""
    if len(body) > BODY_LIMIT_BYTES:
        raise Invalid(f"a question has at most {BODY_LIMIT_BYTES} bytes")
    ask = decode_ask(body)
    for name in (ask.site, ask.agent, ask.edge):
        check_name(name)
    if (ask.site, ask.agent, ask.version) != (site, agent, WIRE_VERSION):
        raise Invalid("it is asked in the name of another, or in another version")
    if len(ask.nonce) != 2 * NONCE_BYTES or claim_of(ask.attempt) is None:
        raise Invalid("the attempt or the nonce is none")
    return ask


def _sealed(key: str, values: Handed) -> bytes:
    """Raises `Invalid` where the edge's key is none."""
    try:
        return SealedBox(PublicKey(base64.b64decode(key, validate=True))).encrypt(encode(values))
    except (binascii.Error, ValueError):
        raise Invalid("the edge's key is none") from None
