"""The whole of a program of reconcilers: who writes one gives its reconcilers, and runs it."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from datamodel.feed.bus import connect
from datamodel.feed.stream import JetStreams
from datamodel.loading import load_model
from datamodel.postgres.store import PostgresStore
from datamodel.program import read_settings, run_program
from reconcilers.runtime.controller import Reconciler
from reconcilers.runtime.replica import Replica
from reconcilers.runtime.settings import RuntimeSettings


def run_reconcilers(program: str, make: Callable[[Replica], Iterable[Reconciler]]) -> int:
    """Runs what `make(replica)` returns over the model of `TENDRIL_MODEL`, until SIGINT or SIGTERM; the exit code. Any number
    of processes of the same name share the work. Its environment is that of `RuntimeSettings`."""

    async def run() -> None:
        settings, model = read_settings(RuntimeSettings), load_model()
        bus = await connect(settings.nats, program)
        try:
            async with PostgresStore(settings.database_url, model) as store:
                await store.check_model()
                times = {"lease_ttl_s": settings.lease_ttl_s, "poll_s": settings.poll_s}
                replica = Replica(program, store, bus, JetStreams(bus), **times)
                replica.keep_log(settings)
                for reconciler in make(replica):
                    replica.add(reconciler)
                await bus.while_admitted(replica.run())
        finally:
            await bus.close()

    return run_program(program, lambda: until_signalled(program, run))


async def until_signalled(program: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs until it ends, or SIGINT or SIGTERM cancels it, which is its normal end."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await run()
    except asyncio.CancelledError:
        structlog.get_logger(program).info("stopped")
