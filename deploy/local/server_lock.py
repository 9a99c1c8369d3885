"""The files that a Postgres server leaves when it is killed."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import psutil

from datamodel.errors import Transient

PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class ServerLock:
    """The lock files of a cluster: one in its data directory, one beside its socket. Both name the server's process."""

    data: Path
    socket: Path

    async def clear(self, *, timeout_s: float) -> None:
        """Removes the files once the server that made them is gone for sure.

        Postgres does so itself unless some other process of this user has the number that the files name, which after a
        reboot is likely: it tells processes apart by nothing but that number. Raises `Transient` where a server of this
        cluster still runs after `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self._is_held():  # noqa: ASYNC110 - the end of a process that is no child of ours sets no event
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            raise Transient(f"another server still runs on {self.data}: see {self._file}") from None
        self._file.unlink(missing_ok=True)
        self.socket.with_name(f"{self.socket.name}.lock").unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self.data / "postmaster.pid"

    def _is_held(self) -> bool:
        """Whether the named process is a server of this cluster: a server works in its data directory."""
        try:
            process = psutil.Process(int(self._file.read_text(encoding="utf-8").split()[0]))
            return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self.data.resolve()
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
            return False
