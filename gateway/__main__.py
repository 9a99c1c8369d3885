"""The gateway's program."""

import asyncio
import contextlib
import sys

from datamodel.appender import Appender
from datamodel.kinds import USER
from datamodel.loading import load_model
from datamodel.postgres.store import PostgresStore
from datamodel.program import open_many_files, read_settings, run_program
from datamodel.reads import Reads
from datamodel.secrets.opening import open_keeping
from gateway.app import create_app
from gateway.backend import Backend
from gateway.changes import Changes
from gateway.growth import Growth
from gateway.link import Link
from gateway.server import Server
from gateway.settings import Settings


async def run(settings: Settings) -> None:
    """Serves until a signal asks it to end. Raises `Transient` where the database does not answer at the start; NATS may
    come later."""
    model = load_model()
    link, changes = Link(settings.nats), Changes()
    async with (
        PostgresStore(settings.database_url, model) as store,
        Appender(store, committed=link.poke) as appender,
        open_keeping(settings, settings.database_url) as secrets,
    ):
        await store.check_model()
        kept = (lambda: link.transcripts), (lambda: link.artifacts)
        growth = Growth(store)
        backend = Backend(store, appender, Reads(store), changes, growth, lambda: link.connected, *kept, secrets)
        app = create_app(backend, settings.fronts, settings.origins)
        server = Server(app, settings.host, settings.port, stopping=changes.close)
        watched = [plane.root for plane in model.planes if USER in plane.spec_writers]
        following = asyncio.create_task(link.run(watched, changes, growth.poked), name="feed")
        try:
            await server.serve()
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def _main() -> None:
    open_many_files()  # each watcher is a connection
    await run(read_settings(Settings))


def main() -> int:
    return run_program("gateway", _main)


if __name__ == "__main__":
    sys.exit(main())
