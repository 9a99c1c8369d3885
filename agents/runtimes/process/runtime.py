"""The runtime for a machine without an engine: a step is a process, and a shim stands over it."""

import asyncio
import signal
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from agents.runtimes.process.bubblewrap import Sandbox
from agents.runtimes.process.cgroup import group_name, limits, make
from agents.runtimes.process.directory import AttemptDirectory
from agents.runtimes.process.identity import Identity, alive, kill_session, send, session_members
from agents.runtimes.process.isolation import hidden_from, not_isolated
from agents.runtimes.process.owner import Owner, step_owner
from agents.runtimes.process.record import LOST, Record
from agents.runtimes.process.shim import KILL, STOP
from agents.runtimes.process.spawn import can_mount, refusal, spawn_shim
from agents.runtimes.process.unsupported import unsupported
from agents.runtimes.process.watch import ExitWatch
from agents.runtimes.protocol import LogPage, Observed, Refusal, SharedFile, Work
from agents.runtimes.wakes import Wakes
from datamodel.errors import Transient

_KILL_TIMEOUT_S = 10.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ProcessRuntime:
    """Runs steps as processes of an unprivileged user, with what they leave under `state_dir/<attempt>`.

    As root, steps run as `user`; as an ordinary user, as that user. An image is ignored. With `bwrap`, the path of bubblewrap's
    program, a step has no network, reads the host's files and writes only what is its own; without, it is not isolated. With
    `groups`, a directory of cgroup v2 where this process may make groups, limits are enforced. What is missing is told at the
    start. Each step sees its shared directory at `/shared` where the kernel lets us mount it for that step alone, and
    `SHARED_DIR` says in any case where it is.

    What runs is known from disk and `/proc` only, so a new instance on the same directory adopts all of it.
    """

    name = "process"
    keeps_output = True
    guards = True

    def __init__(
        self,
        *,
        site: str,
        edges: Collection[str],
        state_dir: Path,
        user: str = "nobody",
        bwrap: str | None = None,
        groups: Path | None = None,
    ) -> None:
        self._site = site
        self._edges = frozenset(edges)
        self._state_dir = state_dir.absolute()
        self._user = user
        self._bwrap, self._groups = bwrap, groups
        self._sandbox: Sandbox | None = None
        self._owner: Owner = None
        self._changed: Callable[[str], None] = lambda _: None
        self._wakes = Wakes(poll_s=0.2)
        self._watch = ExitWatch(self._ended)
        self._mounts = False

    @property
    def not_isolated(self) -> tuple[str, ...]:
        return not_isolated(sandboxed=self._sandbox is not None, limited=self._groups is not None)

    def refuses(self, work: Work) -> Refusal | None:
        return unsupported(work)

    async def open(self, changed: Callable[[str], None]) -> None:
        """Finds what runs. Raises `Invalid` where this is root and there is no other user to run steps as."""
        self._owner = step_owner(self._user)
        self._changed = changed
        self._mounts = await asyncio.to_thread(can_mount)
        await asyncio.to_thread(self._state_dir.mkdir, mode=0o700, parents=True, exist_ok=True)
        self._sandbox = await asyncio.to_thread(self._working_sandbox)
        _log.warning("steps are not isolated", runtime=self.name, missing=", ".join(self.not_isolated))
        if not self._mounts and self._sandbox is None:
            _log.warning("the kernel refuses a private /shared; steps find it by SHARED_DIR only", runtime=self.name)
        for found in await self.discover():
            for record in await asyncio.to_thread(self._directory(found.attempt).records):
                self._attend(found.attempt, record)

    async def close(self) -> None:
        self._watch.close()

    async def check(self) -> None:
        """There is no engine but the kernel."""

    async def discover(self) -> list[Observed]:
        return await asyncio.to_thread(self._discover)

    async def observe(self, attempt: str) -> Observed | None:
        return await asyncio.to_thread(self._directory(attempt).observe)

    async def start_step(self, work: Work, index: int) -> None:
        record = await asyncio.to_thread(self._start, work, index)
        self._attend(work.attempt, record)

    async def lease(self, attempt: str, until_s: float) -> None:
        """The step's shim ends it."""
        try:
            await asyncio.to_thread(self._directory(attempt).lease, until_s)
        except OSError as error:
            raise Transient(f"{attempt}: {error}") from error

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

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        try:
            return await asyncio.to_thread(self._directory(attempt).open_file, path)
        except OSError as error:
            raise Transient(f"{attempt}: its files cannot be read: {error}") from error

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        try:
            return await asyncio.to_thread(self._directory(attempt).logs, index, after, limit_bytes)
        except OSError as error:
            raise Transient(f"{attempt}: its output cannot be read: {error}") from error

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
            self._directory(attempt).sweep()
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
            plan = directory.plan(work, index, self._owner)
            if self._groups is not None:
                group = self._groups / group_name(work.attempt, index)
                make(str(group), limits(work.cpu, work.memory_bytes))
                plan = plan._replace(cgroup=directory.group(index, group))
            spawn_shim(plan._replace(sandbox=self._sandbox))
        except OSError as error:
            raise Transient(f"{work.attempt}: {error}") from error
        record = directory.record(index)
        if record is None:
            raise Transient(f"{work.attempt}: its directory was removed while step {index} started")
        return record

    def _working_sandbox(self) -> Sandbox | None:
        if self._bwrap is None:
            return None
        sandbox = Sandbox(self._bwrap, hidden_from(self._owner, self._state_dir))
        refused = refusal(sandbox, self._owner)
        if refused:
            _log.warning("bubblewrap does not work here", runtime=self.name, error=refused)
            return None
        return sandbox

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
