"""`tendril up`: everything on this machine, from the lock on its directory to the last process that ends."""

import asyncio
import os
import shlex
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import TypeVar

import psutil

from datamodel.errors import Conflict, TendrilError
from datamodel.loading import VARIABLE, load_model
from datamodel.private import write_private
from datamodel.program import read_settings
from datamodel.scheduling.model import MODEL
from deploy.local.home import locked_home
from deploy.local.nats import ROLES, Nats
from deploy.local.ports import HOST
from deploy.local.postgres import Postgres
from deploy.local.programs import Programs
from deploy.local.scaling import Scaling
from deploy.local.secrets_key import SecretsKey
from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor

T = TypeVar("T")
READY_TIMEOUT_S = 60.0
MIGRATION_TIMEOUT_S = 300.0


def main() -> None:
    """Runs until Ctrl-C or SIGTERM, which are its normal end. Exits with 1 where it cannot start, after a reason."""
    try:
        asyncio.run(up(read_settings(Settings)))
    except TendrilError as error:
        sys.exit(f"tendril up: {error}")


async def up(settings: Settings) -> None:
    """Starts everything, tells where it is, waits for SIGINT, SIGTERM or SIGHUP and stops everything.

    Nothing that it started is left when it returns or raises. Raises a `TendrilError` that says what to do where
    something does not start.
    """
    stop = _stop_signalled()
    with locked_home(settings.home) as home:
        _check_port(settings.port)
        environment = home / "run" / "environment"
        async with Supervisor(home / "logs") as supervisor:
            _say(f"starting in {home}")
            programs = await _done_before(stop, _start(settings, home, environment, supervisor))
            scaling = asyncio.create_task(Scaling(home, supervisor, programs).run()) if programs is not None else None
            await stop.wait()
            _say("stopping")
            if scaling is not None:
                scaling.cancel()
                await asyncio.wait({scaling})
        environment.unlink(missing_ok=True)
        _say("stopped")


async def _start(settings: Settings, home: Path, environment: Path, supervisor: Supervisor) -> Programs | None:
    """The programs, where agents are among them."""
    postgres, nats = Postgres(home), Nats(home, settings.tls)
    await postgres.start(supervisor)
    await nats.start(supervisor)
    key = SecretsKey(home)
    programs = Programs(
        settings=settings,
        home=home,
        database_url=postgres.url(),
        accesses={role: nats.access(role) for role in ROLES},
        leaf_url=nats.leaf_url,
        authority=nats.authority_file,
        secrets_key=key.file,
        secrets_public_key=key.public,
        inherited=os.environ,
        cpu_count=psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
    )
    schedules = load_model().includes(MODEL)
    await supervisor.run(programs.migrations(), timeout_s=MIGRATION_TIMEOUT_S)
    write_private(environment, _exports(programs.by_hand()))
    if schedules:
        supervisor.launch(programs.reconcilers())
    supervisor.launch(programs.gateway())
    if schedules:
        await supervisor.until_ready(timeout_s=READY_TIMEOUT_S)
        await supervisor.run(programs.token(), timeout_s=READY_TIMEOUT_S)
        supervisor.launch(*programs.agents())
    await supervisor.until_ready(timeout_s=READY_TIMEOUT_S)
    _say(
        f"""
  REST        {programs.address}/v1
  Swagger UI  {programs.address}/docs
  GraphQL     {programs.address}/graphql
  Postgres    database tendril at {postgres.socket}
  NATS        {HOST}:{nats.port}; leaf nodes {nats.leaf_url}
  credentials {environment}
  logs        {home / "logs"}
"""
    )
    _say(_scheduling(settings, programs) if schedules else _another(environment))
    return programs if schedules else None


def _scheduling(settings: Settings, programs: Programs) -> str:
    return f"""Submit a job:
  curl -s -X POST -H 'content-type: application/json' --data @examples/primes/job.json {programs.address}/v1/jobs

ready: {settings.edges} edges are online; Ctrl-C stops everything"""


def _another(environment: Path) -> str:
    return f"""Programs that work on the model join with `. {environment}`.

ready: the kinds of {os.environ[VARIABLE]} are served; Ctrl-C stops everything"""


def _stop_signalled() -> asyncio.Event:
    """An event that the first signal to stop sets; later ones change nothing, since stopping is already bounded."""
    stop = asyncio.Event()

    def signalled() -> None:
        if stop.is_set():
            _say("still stopping: running steps are being reported")
        stop.set()

    for number in (SIGINT, SIGTERM, SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    return stop


async def _done_before(stop: asyncio.Event, work: Coroutine[None, None, T | None]) -> T | None:
    """What came of the work; it is cancelled where `stop` comes first, and nothing does. Raises what the work raises."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        return None
    return await working


def _check_port(port: int) -> None:
    """Raises `Conflict` where something else listens: the gateway would fail later and less clearly."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise Conflict(f"port {port} of {HOST} is taken: set TENDRIL_PORT to another one")


def _exports(variables: dict[str, str]) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["# For `. environment` in a shell: a program started there joins what runs.", *lines, ""])


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - whoever ran the command reads this
