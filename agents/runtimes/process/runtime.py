"""The runtime for a machine without an engine: a step is a process, and a shim stands over it."""

import asyncio
import signal
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from agents.runtimes.process.directory import AttemptDirectory
from agents.runtimes.process.identity import Identity, alive, kill_session, send, session_members
from agents.runtimes.process.owner import Owner, step_owner
from agents.runtimes.process.record import LOST, Record
from agents.runtimes.process.shim import KILL, STOP
from agents.runtimes.process.spawn import can_mount, spawn_shim
from agents.runtimes.process.watch import ExitWatch
from agents.runtimes.protocol import Observed, Work
from agents.runtimes.wakes import Wakes
from datamodel.errors import Transient

_KILL_TIMEOUT_S = 10.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ProcessRuntime:
    """Runs steps as processes of an unprivileged user, with what they leave under `state_dir/<attempt>`.

    As root, steps run as `user`; as an ordinary user, as that user. Not isolated from the host: they see its files and
    its network, an image is ignored, and cpu and memory limits are not enforced. Each sees its shared directory at
    `/shared` where the kernel lets us mount it for that step alone, and `SHARED_DIR` says in any case where it is.

    What runs is known from disk and `/proc` only, so a new instance on the same directory adopts all of it.
    """

    name = "process"

    def __init__(self, *, site: str, edges: Collection[str], state_dir: Path, user: str = "nobody") -> None:
        self._site = site
        self._edges = frozenset(edges)
        self._state_dir = state_dir.absolute()
        self._user = user
        self._owner: Owner = None
        self._changed: Callable[[str], None] = lambda _: None
        self._wakes = Wakes(poll_s=0.2)
        self._watch = ExitWatch(self._ended)
        self._mounts = False

    async def open(self, changed: Callable[[str], None]) -> None:
        """Finds what runs. Raises `Invalid` where this is root and there is no other user to run steps as."""
        self._owner = step_owner(self._user)
        self._changed = changed
        _log.warning(
            "steps are not isolated", runtime=self.name, missing="files, network, cpu and memory limits, image"
        )
        self._mounts = await asyncio.to_thread(can_mount)
        if not self._mounts:
            _log.warning("the kernel refuses a private /shared; steps find it by SHARED_DIR only", runtime=self.name)
        await asyncio.to_thread(self._state_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
        for found in await self.discover():
            for record in await asyncio.to_thread(self._directory(found.attempt).records):
                self._attend(found.attempt, record)

    async def close(self) -> None:
        self._watch.close()

    async def discover(self) -> list[Observed]:
        return await asyncio.to_thread(self._discover)

    async def observe(self, attempt: str) -> Observed | None:
        return await asyncio.to_thread(self._directory(attempt).observe)

    async def start_step(self, work: Work, index: int) -> None:
        record = await asyncio.to_thread(self._start, work, index)
        self._attend(work.attempt, record)

    async def stop(self, attempt: str, grace_s: float) -> None:
        """TERM to the step's process group, KILL to its whole session after `grace_s`.

        Raises `Transient` where the kernel does not end a process that was killed.
        """
        for number, timeout_s in ((STOP, grace_s), (KILL, _KILL_TIMEOUT_S)):
            shims = await asyncio.to_thread(self._shims, attempt)
            for shim in shims:
                send(shim, number)
            if await self._wakes.until(attempt, lambda: asyncio.to_thread(self._shims_gone, attempt), timeout_s):
                break
        # A shim that ended by itself has left nothing; the rest of one that was killed is in its step's session.
        if not await self._wakes.until(attempt, lambda: asyncio.to_thread(self._swept, attempt), _KILL_TIMEOUT_S):
            raise Transient(f"processes of {attempt} outlive SIGKILL")

    async def result(self, attempt: str) -> bytes | None:
        return await asyncio.to_thread(self._directory(attempt).result)

    async def remove(self, attempt: str) -> None:
        await self.stop(attempt, 0)
        await asyncio.to_thread(self._directory(attempt).remove)

    def _directory(self, attempt: str) -> AttemptDirectory:
        return AttemptDirectory(self._state_dir / attempt)

    def _discover(self) -> list[Observed]:
        found = [self._found(entry.name) for entry in sorted(self._state_dir.iterdir())]
        return [one for one in found if one is not None and self._is_ours(one)]

    def _found(self, attempt: str) -> Observed | None:
        """One attempt of many: what is wrong with it hides no other."""
        try:
            return self._directory(attempt).observe()
        except OSError as error:
            _log.error("an attempt's files cannot be read", attempt=attempt, error=str(error))
            return None

    def _is_ours(self, found: Observed) -> bool:
        """An attempt of nobody, since its files are damaged, is ours too: the directory is one agent's."""
        return (found.site == self._site and found.edge in self._edges) or not found.site

    def _start(self, work: Work, index: int) -> Record:
        directory = self._directory(work.attempt)
        if (record := directory.record(index)) is not None:
            return record
        try:
            # Steps of another user may not get through to our directories, unless they are mounted for them.
            directory.create(work, self._owner, elsewhere=self._owner is not None and not self._mounts)
            spawn_shim(directory.plan(work, index, self._owner))
        except OSError as error:
            raise Transient(f"{work.attempt}: {error}") from error
        record = directory.record(index)
        if record is None:
            raise Transient(f"{work.attempt}: its directory was removed while step {index} started")
        return record

    def _attend(self, attempt: str, record: Record) -> None:
        if record.exit_code is None and record != LOST:
            self._watch.watch(attempt, record.shim)

    def _ended(self, attempt: str) -> None:
        self._wakes.wake(attempt)
        self._changed(attempt)

    def _unfinished(self, attempt: str) -> list[Record]:
        return [record for record in self._directory(attempt).records() if record.exit_code is None]

    def _shims(self, attempt: str) -> list[Identity]:
        return [record.shim for record in self._unfinished(attempt) if alive(record.shim)]

    def _shims_gone(self, attempt: str) -> bool:
        return not self._shims(attempt)

    def _swept(self, attempt: str) -> bool:
        """Kills what is left, and says whether there was nothing."""
        nothing = True
        for record in self._unfinished(attempt):
            send(record.shim, signal.SIGKILL)
            if record.step is not None and session_members(record.step):
                nothing = False
                kill_session(record.step)
        return nothing
