"""`python -m sim.chaos.sites.many FIRST COUNT`: so many agents in one process, each with a key, an outbox and a connection of
its own. It takes the environment of one."""

import asyncio
import signal
import sys

from agents.__main__ import run
from agents.settings import Settings
from datamodel.program import open_many_files, read_settings, run_program


async def _agents(first: int, count: int) -> None:
    """Of these numbers, until SIGTERM."""
    open_many_files()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = read_settings(Settings)
    async with asyncio.TaskGroup() as group:
        for number in range(first, first + count):
            name = f"{settings.edge_name}-{number}"
            own = settings.model_copy(update={"edge_name": name, "edge_home": settings.edge_home / name})
            group.create_task(run(own, stop), name=name)


def main() -> int:
    first, count = map(int, sys.argv[1:])
    return run_program("agents", lambda: _agents(first, count))


if __name__ == "__main__":
    sys.exit(main())
