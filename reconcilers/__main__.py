"""The reconcilers' program: all of them in one process, any number of processes."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import structlog

from datamodel.artifacts import jetstream as artifacts
from datamodel.feed.bus import Bus, connect
from datamodel.feed.stream import JetStreams
from datamodel.identity.accounts import NatsAccounts
from datamodel.identity.authority import Authority
from datamodel.loading import load_extension
from datamodel.postgres.store import PostgresStore
from datamodel.program import read_settings, run_program
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.permissions import TEMPLATES
from datamodel.secrets.opening import open_revealing
from datamodel.transcripts import jetstream as transcripts
from reconcilers.calling.http import HttpSender
from reconcilers.credentials import Issuing
from reconcilers.desk import Desk
from reconcilers.program import Program
from reconcilers.runtime.run import until_signalled
from reconcilers.settings import Settings
from reconcilers.streams import StreamsKeeper

_DAY_S = 24 * 3600.0
_log = structlog.get_logger("reconcilers")


@asynccontextmanager
async def _issuing(settings: Settings) -> AsyncIterator[Issuing | None]:
    """What it takes to give credentials out, where this program was given the keys."""
    if settings.nats_authority is None:
        _log.warning("no credential is signed here, and none revoked at the servers: TENDRIL_NATS_AUTHORITY is not set")
        yield None
        return
    authority = Authority.read(settings.nats_authority, TEMPLATES)
    credential = authority.system_credential(datetime.now(UTC))
    bus = await connect(settings.nats._replace(creds=credential), "reconcilers of the account")
    try:
        yield Issuing(authority, NatsAccounts(bus, authority.account))
    finally:
        await bus.close()


async def run(settings: Settings) -> None:
    """Runs until it is cancelled."""
    model = load_extension(MODEL, "reconcilers")
    bus = await connect(settings.nats, "reconcilers")
    try:
        async with (
            PostgresStore(settings.database_url, model) as store,
            open_revealing(settings, settings.database_url) as secrets,
            _issuing(settings) as issuing,
            HttpSender(settings.exposure(), timeout_s=settings.callbacks_timeout_s) as sender,
        ):
            await store.check_model()
            program = Program(settings, store, bus, JetStreams(bus), sender, secrets=secrets, issuing=issuing)
            await bus.while_admitted(
                program.run(),
                StreamsKeeper(bus, _kept(settings)).run(),
                Desk(bus, store, program.identities).run(),
            )
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
