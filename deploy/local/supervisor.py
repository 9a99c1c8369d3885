"""The order in which children start and stop."""

import asyncio
from pathlib import Path
from typing import Self

from datamodel.errors import Transient
from deploy.local.child import Child, end, spawn
from deploy.local.keeper import Keeper
from deploy.local.logfile import LogFile

PROBE_PAUSE_S = 0.05


class Supervisor:
    """Runs children and keeps them running. An async context: leaving it stops all of them.

    Children that were launched together stop together; groups stop in the reverse order of their launch. Create and use
    it in the main thread, whose end ends the children too (see `tether.py`).
    """

    def __init__(self, logs: Path) -> None:
        """`logs` is a directory, made if absent, that gets one `<name>.log` a child."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._groups: list[list[Keeper]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def launch(self, *children: Child) -> None:
        """Starts the children as one group, without waiting until they are ready."""
        self._groups.append([Keeper(child, LogFile(self._logs / f"{child.name}.log")) for child in children])

    async def until_ready(self, *, timeout_s: float) -> None:
        """Returns when everything that was launched is ready.

        Raises `Transient` with the names of those that are not within `timeout_s`, or were launched after such a one,
        and with the end of the first one's log.
        """
        pending = [keeper for group in self._groups for keeper in group]
        try:
            async with asyncio.timeout(timeout_s):
                while pending:
                    if pending[0].pid is not None and await pending[0].child.ready():
                        del pending[0]
                    else:
                        await asyncio.sleep(PROBE_PAUSE_S)
        except TimeoutError:
            missing = ", ".join(keeper.child.name for keeper in pending)
            end_of_log = _end_of(pending[0].output)
            raise Transient(f"not ready after {timeout_s:g} s: {missing}; {end_of_log}") from None

    async def run(self, child: Child, *, timeout_s: float) -> None:
        """Runs a child that ends by itself. Raises `Transient` where it fails or is not done within `timeout_s`."""
        output = LogFile(self._logs / f"{child.name}.log")
        await child.prepare()
        process = await spawn(child, output)
        try:
            code = await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            raise Transient(f"{child.name} is not done after {timeout_s:g} s; {_end_of(output)}") from None
        finally:
            await end(child, process)
        if code != 0:
            raise Transient(f"{child.name} exited with {code}; {_end_of(output)}")

    async def stop(self) -> None:
        """Stops everything, the latest group first. May be called again."""
        while self._groups:
            group = self._groups[-1]
            await asyncio.gather(*(keeper.stop() for keeper in group))
            self._groups.pop()

    async def end(self, name: str) -> None:
        """Ends the child of a name for good, before the others; nothing where there is none."""
        for group in self._groups:
            for keeper in [keeper for keeper in group if keeper.child.name == name]:
                await keeper.stop()
                group.remove(keeper)

    @property
    def names(self) -> list[str]:
        """Of all children that were launched, in order."""
        return [keeper.child.name for group in self._groups for keeper in group]

    def pid(self, name: str) -> int | None:
        """The process id of a child that was started; None while it does not run."""
        return next((keeper.pid for group in self._groups for keeper in group if keeper.child.name == name), None)


def _end_of(log: LogFile) -> str:
    return f"the end of {log.path}:\n{log.tail()}"
