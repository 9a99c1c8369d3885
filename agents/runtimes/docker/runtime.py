"""The runtime for a Docker engine: a step is a container, an attempt's shared directory a volume."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from agents.runtimes.docker import guard
from agents.runtimes.docker.attempt import (
    a_container_of,
    attempts_of,
    find_attempt,
    read_result,
    remove_attempt,
    signal_attempt,
)
from agents.runtimes.docker.container import container_name
from agents.runtimes.docker.disk import Shortages, disk_of, is_full
from agents.runtimes.docker.engine import Engine, engine_answers
from agents.runtimes.docker.events import EventStream
from agents.runtimes.docker.files import open_volume_file
from agents.runtimes.docker.logs import read_logs
from agents.runtimes.docker.pull import STALL_S, PullFailure, find_image, image_names
from agents.runtimes.docker.pulls import Pulls
from agents.runtimes.docker.reads import Reads
from agents.runtimes.docker.starting import never_started, start_container
from agents.runtimes.images import is_called
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import LogPage, Observed, Refusal, SharedFile, StepState, Work
from agents.runtimes.reasons import IMAGE_MISSING, IMAGE_NEVER_PULLED, LEASE_OVER
from agents.runtimes.wakes import Wakes
from datamodel.errors import Transient

_CHECK_TIMEOUT_S = 5
_KILL_TIMEOUT_S = 30.0
_KILLED_CODE = 137


@dataclass(slots=True)
class _Start:
    """A step that has no container: its image is being pulled, or it never got one."""

    work: Work
    index: int
    pull: "asyncio.Task[PullFailure | None] | None" = None
    end: StepState | None = None


class DockerRuntime:
    """Runs steps as containers named `tendril-<attempt>-<step>`, labelled, limited, without network or capabilities.

    What runs is known from the engine only, by its labels, so a new instance adopts all of it. Once it has discovered what
    there is, only attempts that it found or began can have anything at the engine: it asks for no others, and for those
    that it began by their containers' names.

    The one exception is a step that has no container yet (its image is being pulled) or never will (no such image, a
    limit out of range): that is remembered here, and forgotten with the process. An agent that restarts sees such a step
    as not started, and starting it finds out again.
    """

    name = "docker"
    keeps_output = True
    not_isolated = ()

    def __init__(
        self,
        *,
        site: str,
        edges: Collection[str],
        policy: Policy = Policy(),  # noqa: B008 - frozen
        copies: Path | None = None,
        leases: Path | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        """`copies`: where files are put for as long as they are read; else where the host has such. `leases`: where leases are
        kept for their guard; without, none are given. `stall_s`: for how long a pull may make no progress."""
        self._site = site
        self._edges = frozenset(edges)
        self._policy = policy
        self._copies = copies
        self._leases = leases
        self._engine = Engine()
        self._pulls = Pulls(self._engine, policy.registry_auth, stall_s)
        self._events: EventStream | None = None
        self._changed: Callable[[str], None] = lambda _: None
        self._wakes = Wakes()
        self._starts: dict[str, _Start] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        """Of each attempt that may have anything at the engine: its containers, as far as they were begun here."""
        self._reads = Reads()
        self._discovered = False
        self._disk: Path | None = None
        self._shortages = Shortages()

    def refuses(self, work: Work) -> Refusal | None:
        return self._policy.refusal(work)

    async def open(self, changed: Callable[[str], None]) -> None:
        """Raises `Transient` where no engine answers."""
        self._changed = changed
        await self._engine.open()
        self._disk = await self._engine.call(disk_of)
        self._events = EventStream(self._site, self._edges, self._tell)

    async def close(self) -> None:
        if self._events is not None:
            await self._events.close()
        await self._pulls.close()
        await self._engine.close()

    async def check(self) -> None:
        """On a connection of its own: those for work may all be waiting for an engine that hangs."""
        if not await asyncio.to_thread(engine_answers, _CHECK_TIMEOUT_S):
            raise Transient("the container engine does not answer")

    @property
    def pulled(self) -> asyncio.Event:
        return self._pulls.pulled

    async def images(self) -> list[str]:
        """The port `ImageHolder`."""
        return await self._engine.call(image_names)

    async def discover(self) -> list[Observed]:
        attempts = await self._engine.call(attempts_of, self._site, self._edges)
        for attempt in attempts:
            self._names.setdefault(attempt, ())
        self._discovered = True
        found = await asyncio.gather(*(self.observe(attempt) for attempt in sorted(attempts | self._starts.keys())))
        return [one for one in found if one is not None]

    async def observe(self, attempt: str) -> Observed | None:
        if self._discovered and attempt not in self._names:
            return None
        found = await self._find(attempt)
        if found is not None and (found.site != self._site or found.edge not in self._edges):
            return None  # another agent's: several may share an engine
        found = self._told(found) if found is not None else None
        start = self._starts.get(attempt)
        if start is None:
            return found
        found = found or Observed.of(start.work)
        if start.end is None or len(found.steps) != start.index:
            return found
        return replace(found, steps=(*found.steps, start.end))

    async def start_step(self, work: Work, index: int) -> None:
        start = self._starts.get(work.attempt)
        if start is None or start.index != index:
            start = self._starts[work.attempt] = _Start(work, index)
        names = (container_name(work.attempt, step.name) for step in work.steps[: index + 1])
        self._names[work.attempt] = tuple(names)
        if start.end is not None or (user := await self._image_user(start)) is None:
            return
        start.end = await self._engine.call(start_container, work, index, self._policy, user)
        if start.end is None and self._starts.get(work.attempt) is start:
            del self._starts[work.attempt]

    @property
    def guards(self) -> bool:
        return self._leases is not None

    async def lease(self, attempt: str, until_s: float) -> None:
        assert self._leases is not None, "it guards"
        await asyncio.to_thread(guard.guard, self._leases, attempt, until_s)

    async def stop(self, attempt: str, grace_s: float) -> None:
        """TERM to the step by way of its init, then KILL. Raises `Transient` where the engine cannot end it."""
        for signal, timeout_s in (("SIGTERM", grace_s), ("SIGKILL", _KILL_TIMEOUT_S)):
            await self._engine.call(signal_attempt, attempt, signal)
            if await self._wakes.until(attempt, lambda: self._ended(attempt), timeout_s):
                return
        raise Transient(f"containers of {attempt} outlive SIGKILL")

    async def result(self, attempt: str) -> bytes | None:
        return await self._engine.call(read_result, attempt, self._names.get(attempt, ()))

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        container = await self._engine.call(a_container_of, attempt)
        if container is None:
            return None
        return await self._engine.call(open_volume_file, self._engine, container, path, self._copies)

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        names = self._names.get(attempt, ())
        name = names[index] if index < len(names) else None
        begun, read_s = self._reads.now(), self._reads.last_s(attempt, index)
        page = await self._engine.call(read_logs, attempt, index, name, after, limit_bytes, read_s=read_s)
        was_full = self._disk is not None and await asyncio.to_thread(is_full, self._disk)
        if attempt in self._names and was_full:
            self._shortages.add(attempt, index)
        if attempt in self._names and not page.more:
            self._reads.done(attempt, index, begun)
        return page

    async def remove(self, attempt: str) -> None:
        await self._engine.call(remove_attempt, attempt)
        self._starts.pop(attempt, None)
        self._names.pop(attempt, None)
        self._reads.forget(attempt)
        self._shortages.forget(attempt)
        if self._leases is not None:
            guard.release(self._leases, attempt)

    def _told(self, found: Observed) -> Observed:
        """With what the engine does not know of why its last step ended."""
        found = self._shortages.told(found)
        last = found.steps[-1] if found.steps else None
        if last is None or last.exit_code != _KILLED_CODE or last.reason or self._leases is None:
            return found
        if not guard.was_ended(self._leases, found.attempt):
            return found
        return replace(found, steps=(*found.steps[:-1], replace(last, reason=LEASE_OVER)))

    async def _find(self, attempt: str) -> Observed | None:
        """What was not begun here and is not found is forgotten, unless the engine tells of it meanwhile."""
        if names := self._names.get(attempt, ()):
            return await self._engine.call(find_attempt, attempt, names, self._disk)
        self._names.pop(attempt, None)
        is_there = True
        try:
            found = await self._engine.call(find_attempt, attempt, (), self._disk)
            is_there = found is not None
        finally:
            if is_there:
                self._names.setdefault(attempt, ())
        return found

    async def _image_user(self, start: _Start) -> str | None:
        """The user of the step's image, once it is here as the step wants it; None while it is pulled, and where it cannot
        be had: then `start.end` says why."""
        step = start.work.steps[start.index]
        if start.pull is not None and not start.pull.done():
            return None
        if start.pull is not None and (failure := self._outcome(start)) is not None:
            start.end = never_started(*failure)
            return None
        found = await self._engine.call(find_image, step.image)
        if found is not None and not is_called(step.image, found.names):
            found = None
        is_asked = step.pull_policy == "Always" or (step.pull_policy == "IfNotPresent" and found is None)
        if is_asked and start.pull is None:
            start.pull = self._pulls.begin(step.image)
            start.pull.add_done_callback(lambda _: self._tell(start.work.attempt))
            return None
        if found is None:
            reason = IMAGE_NEVER_PULLED if step.pull_policy == "Never" else IMAGE_MISSING
            start.end = never_started(reason, f"no image {step.image} on this edge")
            return None
        return found.user

    def _outcome(self, start: _Start) -> PullFailure | None:
        """Raises `Transient` where the engine failed, and has the image pulled anew then."""
        assert start.pull is not None
        try:
            return start.pull.result()
        except Transient:
            start.pull = None
            raise

    async def _ended(self, attempt: str) -> bool:
        found = await self._engine.call(find_attempt, attempt, self._names.get(attempt, ()), self._disk)
        return found is None or all(step.phase != "running" for step in found.steps)

    def _tell(self, attempt: str) -> None:
        self._names.setdefault(
            attempt, ()
        )  # the engine knows of it, maybe since an agent's last request before this one
        self._wakes.wake(attempt)
        self._changed(attempt)
