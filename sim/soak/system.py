"""The system that is soaked: one of the soak's own, or one that `make up` runs."""

import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from datamodel.errors import NotFound
from datamodel.feed.access import Access
from deploy.local.ports import HOST
from sim.bench.stack import stack


@dataclass(frozen=True, slots=True)
class System:
    """Where it is reached, and the process whose children its programs are."""

    url: str
    database_url: str
    nats: Access
    parent_pid: int


@asynccontextmanager
async def own_system(edges: int) -> AsyncIterator[System]:
    """A system with so many simulated edges, as children of this process; nothing is left of it."""
    async with stack(edges=edges) as found:
        yield System(f"http://{HOST}:{found.port}", found.database_url, found.nats, os.getpid())


def running_system(home: Path) -> System:
    """The system that `make up` runs in a home directory. Raises `NotFound` where none does."""
    environment = home / "run" / "environment"
    try:
        words = [word for word in shlex.split(environment.read_text(), comments=True) if "=" in word]
        variables = dict(word.split("=", 1) for word in words)
        parent_pid = int((home / "lock").read_text())
    except (OSError, ValueError) as error:
        raise NotFound(f"no system runs in {home}: {error}", field="--home") from error
    return System(
        f"http://{variables['TENDRIL_HOST']}:{variables['TENDRIL_PORT']}",
        variables["TENDRIL_DATABASE_URL"],
        Access(variables["TENDRIL_NATS_URL"], Path(variables["TENDRIL_NATS_CREDS"])),
        parent_pid,
    )
