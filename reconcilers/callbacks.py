"""callbacks: phases that jobs have reached → calls to whoever wants to be told, and in their status what became of those."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import Invalid, Transient
from datamodel.kinds import SYSTEM, Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.secrets.ports import Revealing, Scope
from datamodel.secrets.value import DEFAULT_KEY, Values
from reconcilers.calling.lines import Lines
from reconcilers.calling.ports import Call, Sender, Unsent
from reconcilers.calling.signing import headers_of
from reconcilers.planning.callbacks import (
    Attempt,
    Terms,
    Verdict,
    body_of,
    judge,
    noted,
    sealed,
    settled,
    waiting,
)
from reconcilers.runtime.controller import Wake, Watch

WORKERS = 64
LINES = 4
"""To one host at a time: a few that answer nothing leave workers for the others."""
SOON_S = 0.01
"""At least, until the next moment: who looks a rounding too early would do so for ever."""
FREE_S = 5.0
"""How soon who waits for a line looks by itself: whoever was to be woken in its place may have gone."""
PAGE = 1_000
ACTOR = Actor("callbacks", SYSTEM)
_log = structlog.get_logger("callbacks")


@dataclass
class _Memory:
    """What is known of a job's notices and is not in its status: that is nobody's concern but ours."""

    began_s: dict[str, float] = field(default_factory=dict)
    """By notice, when the job reached the phase, on the loop's clock: the one on the wall may jump."""
    tried: dict[Attempt, int] = field(default_factory=dict)
    """Which of its moments each was tried at last."""
    verdicts: dict[Attempt, Verdict] = field(default_factory=dict)
    """What has not been written down yet."""


class Callbacks:
    """Calls. The key is the job's path."""

    name = "callbacks"
    shards = 4
    resync_s = 300.0

    def __init__(
        self,
        store: Store,
        appender: Appender,
        reads: Reads,
        sender: Sender,
        terms: Terms,
        clock: Callable[[], datetime],
        secrets: Revealing | None,
    ) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._sender = sender
        self._terms = terms
        self._clock = clock
        self._secrets = secrets
        self._memory: dict[str, _Memory] = {}
        self._lines = Lines(LINES)

    def listen(self, wake: Callable[[str], object]) -> None:
        """`wake(key)` must lead to `reconcile(key)`."""
        self._lines.wake = wake

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Job": self._on_job}

    async def keys(self) -> list[str]:
        keys: list[str] = []
        remembered, after = set(self._memory), ""
        while jobs := await self._store.list_nodes("Job", after=after, limit=PAGE):
            keys.extend(job.path for job in jobs if self._has_work(job))
            after = jobs[-1].path
        for key in remembered.difference(keys):
            self._memory.pop(key, None)  # of jobs that are gone, or another replica's now, nobody comes to say so
        return keys

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        job = await self._reads.node(key)
        if job is None or not self._has_work(job):
            self._memory.pop(key, None)
            return None
        memory = self._memory.setdefault(key, _Memory())
        if await self._write_down(job, memory, fence):
            return 0.0
        notices: Sequence[Document] = job.status["callbacks"]
        rest_s, calls = self._plan(job, notices, memory)
        if calls:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(call)
            if await self._write_down(job, memory, fence):
                return 0.0
        return rest_s

    async def _write_down(self, job: Node, memory: _Memory, fence: Fence) -> bool:
        """Whether there was something. A verdict is kept until it is written, so that nobody is called again for it."""
        before, now = list(job.status.get("callbacks") or ()), self._clock()
        after = settled(sealed(noted(job, job.status, now), job.version), memory.verdicts, now)
        if after != before:
            command = Command("patchStatus", job.path, {"callbacks": after}, expected_version=job.version)
            await self._appender.write(Unit((command,), ACTOR, fence=fence))
        memory.verdicts.clear()
        return after != before

    def _plan(
        self, job: Node, notices: Sequence[Document], memory: _Memory
    ) -> tuple[float | None, list[Coroutine[None, None, None]]]:
        """The calls that are due, with a line for each, and after which time there may be more."""
        now_s, rests_s, calls = asyncio.get_running_loop().time(), list[float](), list[Coroutine[None, None, None]]()
        for notice, number in waiting(notices):
            attempt = notice["id"], number
            began_s = memory.began_s.setdefault(notice["id"], now_s - self._age_s(notice))
            moments_s = self._terms.moments_s(notice["id"])
            present = max(at for at, moment_s in enumerate(moments_s) if moment_s <= now_s - began_s)
            is_last = present + 1 == len(moments_s)
            # What waits after its last moment has no verdict that is known: a database that was put back has forgotten it.
            if is_last or present > memory.tried.get(attempt, -1):
                host = urlsplit(job.spec["callbacks"][number]["url"]).netloc
                if not self._lines.take(host, job.path):
                    rests_s.append(FREE_S)
                    continue
                calls.append(self._call(job, notice, number, memory, host, present, is_last=is_last))
            if not is_last:
                rests_s.append(max(began_s + moments_s[present + 1] - now_s, SOON_S))
        return min(rests_s, default=None), calls

    def _age_s(self, notice: Document) -> float:
        return max(0.0, (self._clock() - datetime.fromisoformat(notice["at"])).total_seconds())

    async def _call(
        self, job: Node, notice: Document, number: int, memory: _Memory, host: str, present: int, *, is_last: bool
    ) -> None:
        attempt = notice["id"], number
        try:
            call = await self._made(job, notice, job.spec["callbacks"][number])
            reply = call if isinstance(call, Unsent) else await self._sender.send(call)
        finally:
            self._lines.give_back(host)
        memory.tried[attempt] = present
        verdict = memory.verdicts[attempt] = judge(reply, is_last=is_last)
        if not verdict.delivered:
            _log.info("not delivered", job=job.path, notice=notice["id"], host=host, reason=verdict.reason)

    async def _made(self, job: Node, notice: Document, callback: Document) -> Call | Unsent:
        """The call, or why there is none: the secret that is to sign it."""
        body, name = body_of(job, notice), callback.get("secret")
        try:
            values = await self._values(job, name) if name is not None else {}
            secret = values[callback.get("key") or DEFAULT_KEY] if name is not None else None
            headers = headers_of(notice["id"], int(self._clock().timestamp()), body, secret)
        except KeyError:
            return Unsent("SecretMissing", "the group has no such secret, or it has no such key")
        except Invalid:
            return Unsent("SecretUnusable", "the secret cannot be opened, or is none that signs")
        except Transient:
            return Unsent("SecretUnavailable", "what keeps the secret does not answer")
        return Call(callback["url"], headers, body)

    async def _values(self, job: Node, name: str) -> Values:
        """Raises `KeyError` where there is no such secret."""
        path = job.path.rpartition("/jobs/")[0]
        group = await self._reads.node(path)
        if group is None or self._secrets is None:
            raise KeyError(name)
        return (await self._secrets.reveal(Scope(last_name(path), group.uid), [name]))[name]

    def _has_work(self, job: Node) -> bool:
        if not job.spec.get("callbacks") or job.deletion_requested_at is not None:
            return False
        before = job.status.get("callbacks") or []
        return any(True for _ in waiting(before)) or noted(job, job.status, self._clock()) != before

    def _on_job(self, change: Change) -> Iterable[Wake]:
        job = change.node
        return (Wake(job.path),) if job is not None and self._has_work(job) else ()
