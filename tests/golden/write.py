"""`python -m tests.golden.write VERSION`: writes a pair of files for each model, by the code as it is."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from datamodel.command import Actor, Command, Unit, raise_refused
from datamodel.identity.nkeys import Key
from datamodel.kinds import SYSTEM, USER
from datamodel.memory import MemoryStore
from datamodel.model import Model
from datamodel.prepare import prepare
from datamodel.scheduling import model as scheduling
from datamodel.scheduling.credentials import ACCOUNT, ISSUER, credential_path, leaf_path, token_path
from datamodel.scheduling.service import config_path
from datamodel.seeds import seed
from tests import garden
from tests.golden.projection import Projection
from tests.graph import EDGE, JOBS, REQUESTS, STEPS, counted_ids, done, job, new_edge, new_job, place, report
from tests.graph import SYSTEM as RECONCILER

FOLDER = Path(__file__).parent
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A second later each time that it is asked."""

    def __init__(self) -> None:
        self._now = BEGINNING

    def __call__(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now


async def grow(store: MemoryStore) -> None:
    """A garden's year: what is created, changed, linked, labelled and removed."""

    async def write(role: str, *commands: Command) -> None:
        unit = Unit(commands, Actor("ann", role), cause="POST /v1/garden", correlation="year")
        (outcome,) = await store.append([prepare(store.model, unit)])
        raise_refused(outcome)

    flowers = "/garden/beds/b/flowers"
    await write(
        USER, Command("create", "/garden/beds/b", labels={"sun": "much"}), Command("create", "/garden/beds/empty")
    )
    await write(USER, Command("create", f"{flowers}/rose", {"heightCm": 80}))
    await write(USER, Command("create", f"{flowers}/lily", {"colour": "white"}, links={"beside": (f"{flowers}/rose",)}))
    await write(SYSTEM, Command("patchStatus", f"{flowers}/rose", {"phase": "bloom"}))
    await write(USER, Command("patchSpec", f"{flowers}/rose", {"heightCm": 95}, labels={"cut": "no"}))
    await write(USER, Command("apply", "/garden/shed", {"tools": 3}))
    await write(USER, Command("delete", "/garden/beds/empty"))


async def schedule(store: MemoryStore) -> None:
    """Jobs on two edges: one that succeeds at its second try, one that fails, one that is deleted while it runs. In the end an
    edge is drained, a schedule makes a job that waits for another and for a moment, a credential comes and goes, and a site has
    a leaf node."""
    await done(store, Command("create", "/config/job-groups/g", {"description": "of nights"}, labels={"team": "a"}))
    for edge in ("e", "f"):
        await new_edge(store, edge)
    primes = await new_job(store, "primes", chunks=2, retries=1, outputs={"n": "sum"})
    first, second = await place(store, primes), await place(store, primes, index=1, edge="f", retries=1)
    await report(store, first, phase="running", percent=40.5, startedAt="2026-01-01T00:01:00Z")
    await report(store, first, phase="succeeded", percent=100, exitCodes=[0], outputs={"n": 2})
    await report(store, second, phase="failed", exitCodes=[1], reason="exit", message="no luck")
    again = await place(store, primes, index=1, epoch=2, retries=1)
    await report(store, again, phase="succeeded", percent=100, exitCodes=[0], outputs={"n": 3})
    status = {"phase": "running", "observedGeneration": 1, "chunks": {"succeeded": 2}}
    await done(store, Command("patchStatus", primes.path, status), actor=RECONCILER)
    ended = {"phase": "succeeded", "percentCompleted": 100.0, "outputs": {"n": 5}}
    await done(store, Command("patchStatus", primes.path, ended), actor=RECONCILER)
    doomed = await new_job(store, "doomed", retries=0)
    await report(store, await place(store, doomed, retries=0), phase="failed", exitCodes=[2])
    left = await new_job(store, "left", chunks=3)
    held = await place(store, left, edge="f")
    await report(store, held, phase="running", percent=10)
    lost = Command("patchStatus", "/inventory/sites/s/edges/f", {"phase": "lost", "reason": "silent"})
    await done(store, lost, actor=RECONCILER)
    await done(store, Command("patchSpec", held, {"intent": "abandon"}), actor=RECONCILER)
    await place(store, left, epoch=2)
    await done(store, Command("delete", left.path))
    await done(store, Command("finalize", left.path, {"finalizer": "attempts"}), actor=RECONCILER)
    await report(store, held, phase="stopped")
    await done(store, Command("delete", first), actor=RECONCILER)
    await done(store, job("waiting"), Command("patchSpec", f"{JOBS}/waiting", {"retries": 5}, labels={"n": "1"}))
    shrunk = {"capacity": {"cpu": 0.1, "memoryBytes": 2**30, "powerW": 10.0}}
    await done(store, Command("patchSpec", "/inventory/sites/s/edges/e", shrunk), actor=EDGE)
    drain = {"intent": "drain", "drainBy": "2026-01-01T01:00:00Z"}
    await done(store, Command("apply", "/config/sites/s"), Command("apply", config_path("s", "e"), drain))
    drained = {"phase": "drained", "since": "2026-01-01T01:00:00Z", "observedGeneration": 1}
    await done(store, Command("patchStatus", config_path("s", "e"), drained), actor=RECONCILER)
    key, expires = Key("user", bytes(32)).public, "2026-01-02T00:00:00Z"
    await done(store, Command("create", token_path("s", "t"), {"publicKey": key, "expiresAt": expires, "uses": 2}))
    await done(store, Command("create", credential_path("s", "e"), {"publicKey": key}), actor=RECONCILER)
    signed = {"phase": "signed", "publicKey": key, "jwt": "a.b.c", "issuedAt": expires, "expiresAt": expires}
    await done(store, Command("patchStatus", credential_path("s", "e"), signed), actor=RECONCILER)
    await done(store, Command("delete", credential_path("s", "e")))
    finalize = Command("finalize", credential_path("s", "e"), {"finalizer": ISSUER})
    await done(store, finalize, actor=RECONCILER)
    await done(store, Command("create", leaf_path("s", "leaf"), {"publicKey": key}))
    await done(store, Command("patchStatus", leaf_path("s", "leaf"), signed), actor=RECONCILER)
    known = {"operator": "o.o.o", "systemAccount": "s.s.s", "account": "a.a.a"}
    await done(store, Command("create", ACCOUNT), Command("patchStatus", ACCOUNT, known), actor=RECONCILER)
    await nightly(store)


async def nightly(store: MemoryStore) -> None:
    """What a schedule leaves."""
    path, job_path = "/config/job-groups/default/schedules/nightly", f"{JOBS}/nightly-202601020130"
    late = {"after": [{"job": "waiting", "on": "finished"}], "startAt": "2026-01-02T02:00:00+01:00"}
    spec = {"steps": STEPS, "requests": REQUESTS, "ttlAfterFinishS": 60.0, **late}
    await done(
        store,
        Command(
            "create", path, {"cron": "30 2 * * *", "timeZone": "Europe/Berlin", "job": {**spec, "labels": {"n": "1"}}}
        ),
    )
    create = Command("create", job_path, spec, {"n": "1"}, {"schedule": (path,)})
    dealt = {"through": "2026-01-02T01:30:00+00:00", "follows": "30 2 * * * Europe/Berlin", "active": 1}
    counts = {"counts": {"made": 1}, "activeJobs": ["nightly-202601020130"], "lastTime": "2026-01-02T01:30:00+00:00"}
    await done(store, create, Command("patchStatus", path, {**dealt, **counts}), actor=RECONCILER)
    ready = {"after": ["waiting"], "readyAt": "2026-01-02T01:30:01+00:00", "phase": "pending"}
    await done(store, Command("patchStatus", job_path, ready), actor=RECONCILER)
    await done(store, Command("patchSpec", job_path, {"intent": "abort"}), actor=RECONCILER)


HISTORIES: dict[str, tuple[Model, Callable[[MemoryStore], Awaitable[None]]]] = {
    "garden": (garden.MODEL, grow),
    "scheduling": (scheduling.MODEL, schedule),
}


async def written(name: str) -> tuple[bytes, bytes]:
    """The log of a history as JSON lines, and its projection."""
    model, history = HISTORIES[name]
    store = MemoryStore(model, Clock(), counted_ids())
    await seed(store)
    await history(store)
    events = await store.events(0, 10_000)
    projection = msgspec.json.format(msgspec.json.encode(Projection.of(store.state)), indent=1)
    return b"".join(msgspec.json.encode(event) + b"\n" for event in events), projection + b"\n"


def main(version: int) -> None:
    for name in HISTORIES:
        log = FOLDER / f"{name}-{version}.jsonl"
        events, projection = asyncio.run(written(name))
        with log.open("xb") as file:
            file.write(events)
        log.with_suffix(".projection.json").write_bytes(projection)
        sys.stdout.write(f"{log.name}: {len(events.splitlines())} events\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
