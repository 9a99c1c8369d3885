"""`tendril verify`: is the projection of `TENDRIL_DATABASE_URL` the fold of its log? Exits with 1 where it is not."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Annotated

import cyclopts
import uvloop

from datamodel.errors import TendrilError
from datamodel.feed.access import Access, NatsSettings
from datamodel.feed.bus import connect
from datamodel.feed.relayed import Relayed
from datamodel.loading import load_model
from datamodel.model import Model
from datamodel.overdue import overdue
from datamodel.postgres.store import PostgresStore
from datamodel.program import calm_collector, database_url, read_settings
from datamodel.verify import Report, verify
from datamodel.watch import Watch

app = cyclopts.App(name="tendril verify", help="Check that what is stored is the fold of the log.", version_flags=[])


@app.default
def run(
    *,
    watch: Annotated[
        bool,
        cyclopts.Parameter(
            negative="",
            help="Go on with what is appended, event by event, until SIGINT or SIGTERM. It keeps the books of the whole graph"
            " in memory. With TENDRIL_NATS_URL (of the reconcilers) the feed is compared too.",
        ),
    ] = False,
    every: Annotated[
        float, cyclopts.Parameter(help="Seconds from line to line.", validator=cyclopts.validators.Number(gt=0))
    ] = 5.0,
) -> int:
    """The database is that of TENDRIL_DATABASE_URL, its model that of TENDRIL_MODEL. Exits with 1 where anything was found."""
    calm_collector()
    try:
        url, model = database_url(), load_model()
        if watch:
            nats = read_settings(NatsSettings).nats if os.environ.get("TENDRIL_NATS_URL") else None
            return uvloop.run(_watch(url, model, nats, every))
        report = uvloop.run(_verify(url, model))
    except TendrilError as error:
        sys.stderr.write(f"verify: {error.message}\n")
        return 2
    _say(str(report))
    return 0 if report.clean else 1


async def _verify(url: str, model: Model) -> Report:
    async with PostgresStore(url, model) as store:
        await store.check_model()
        report = await verify(store)
        for line in await overdue(store, datetime.now(UTC)):
            _say(line)
        return report


async def _watch(url: str, model: Model, nats: Access | None, every_s: float) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    found = 0
    async with AsyncExitStack() as opened:
        try:
            store = await opened.enter_async_context(PostgresStore(url, model))
            await store.check_model()
            feed = None
            if nats is not None:
                bus = await connect(nats, "verify")
                opened.push_async_callback(bus.close)
                feed = Relayed(bus)
            watch = Watch(store, _say, feed)
            try:
                await watch.run(every_s)
            finally:
                found = watch.found
        except asyncio.CancelledError:
            _say(f"stopped: {found} violations")
    return 1 if found else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(app())
