"""The reconcilers' program: all of them in one process, any number of processes."""

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from datamodel.artifacts import jetstream as artifacts
from datamodel.feed.bus import Bus, connect
from datamodel.feed.stream import JetStreams
from datamodel.loading import load_extension
from datamodel.postgres.store import PostgresStore
from datamodel.program import read_settings, run_program
from datamodel.scheduling.model import MODEL
from datamodel.secrets.opening import open_revealing
from datamodel.transcripts import jetstream as transcripts
from reconcilers.calling.http import HttpSender
from reconcilers.program import Program
from reconcilers.runtime.run import until_signalled
from reconcilers.settings import Settings
from reconcilers.streams import StreamsKeeper

_DAY_S = 24 * 3600.0


async def run(settings: Settings) -> None:
    """Runs until it is cancelled."""
    model = load_extension(MODEL, "reconcilers")
    bus = await connect(settings.nats_url, "reconcilers")
    try:
        async with (
            PostgresStore(settings.database_url, model) as store,
            open_revealing(settings, settings.database_url) as secrets,
            HttpSender(settings.exposure(), timeout_s=settings.callbacks_timeout_s) as sender,
        ):
            await store.check_model()
            keeping = asyncio.create_task(StreamsKeeper(bus, _kept(settings)).run(), name="streams")
            try:
                await Program(settings, store, bus, JetStreams(bus), sender, secrets=secrets).run()
            finally:
                keeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await keeping
    finally:
        await bus.close()


def _kept(settings: Settings) -> Mapping[str, Callable[[Bus], Awaitable[bool]]]:
    logs_s, artifacts_s = settings.keep_logs_days * _DAY_S, settings.keep_artifacts_days * _DAY_S
    return {
        "logs": partial(transcripts.keep_stream, kept_s=logs_s, limit_bytes=settings.logs_bytes),
        "artifacts": partial(artifacts.keep_stream, kept_s=artifacts_s, limit_bytes=settings.artifacts_bytes),
    }


def main() -> int:
    return run_program("reconcilers", lambda: until_signalled("reconcilers", lambda: run(read_settings(Settings))))


if __name__ == "__main__":
    sys.exit(main())
