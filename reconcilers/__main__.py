"""The reconcilers' program: all of them in one process, any number of processes."""

import sys

from datamodel.feed.bus import connect
from datamodel.feed.stream import JetStreams
from datamodel.loading import load_extension
from datamodel.postgres.store import PostgresStore
from datamodel.program import read_settings, run_program
from datamodel.scheduling.model import MODEL
from reconcilers.program import Program
from reconcilers.runtime.run import until_signalled
from reconcilers.settings import Settings


async def run(settings: Settings) -> None:
    """Runs until it is cancelled."""
    model = load_extension(MODEL, "reconcilers")
    bus = await connect(settings.nats_url, "reconcilers")
    try:
        async with PostgresStore(settings.database_url, model) as store:
            await store.check_model()
            await Program(settings, store, bus, JetStreams(bus)).run()
    finally:
        await bus.close()


def main() -> int:
    return run_program("reconcilers", lambda: until_signalled("reconcilers", lambda: run(read_settings(Settings))))


if __name__ == "__main__":
    sys.exit(main())
