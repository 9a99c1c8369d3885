"""One run: a system of its own, work that does not stop, faults one after the other, quiet, and the verdict."""

import asyncio
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from datamodel.errors import Invalid, TendrilError, Transient
from deploy.local.ports import HOST
from sim.chaos import ledger
from sim.chaos.beneath import Beneath
from sim.chaos.checker import Violation, check
from sim.chaos.ending import attempts, last_words, quiet
from sim.chaos.evidence import Evidence
from sim.chaos.faults.fault import Fault, LateError, NotBittenError, System
from sim.chaos.history import History, now_s
from sim.chaos.load import GROUP, Load
from sim.chaos.machine import SITE, Machine, machine
from sim.chaos.sites.certificate import certified
from sim.chaos.sites.crowd import Crowd, crowd
from sim.chaos.sites.network import addresses, own_place
from sim.chaos.sites.site import EDGE, Site, sites

LEASE_TTL_S = 1.0
ENVIRONMENT = {
    "TENDRIL_LEASE_TTL_S": str(LEASE_TTL_S),
    "TENDRIL_SUSPECT_AFTER_S": "2",
    "TENDRIL_DISCONNECTED_AFTER_S": "2.4",
    "TENDRIL_LOST_AFTER_S": "2.8",
    "EDGE_CPU": "0.5",
    "EDGE_SANDBOX": "false",
}
"""Impatient: an edge that stands still for three leases is given up, and its attempts come back as older epochs. Each edge has
room for two chunks of the load at a time, whose steps write to a ledger of the host's."""
RECOVERY_LIMIT_S = 45.0
"""From the end of an injection to the first chunk that is newly counted. A supervisor alone may wait 5 s before a start."""
QUIET_LIMIT_S = 60.0
"""From the end of the last recovery until everything that was accepted has ended."""
VERIFY_TIMEOUT_S = 120.0
PAUSE_S = 1.0
"""At most so long between a recovery and the next injection, so that faults meet the system at all moments."""
OWN_RULES = ("ledger", "bites", "recovers", "returns", "verify", "stops")
"""What the run itself looks at, beside the checker's rules."""
_log = structlog.get_logger("chaos")


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault as it went. `shown` is what it left; `recovery_s` is None where nothing was counted in time."""

    fault: str
    bitten: bool
    shown: str
    recovery_s: float | None


@dataclass(slots=True)
class Run:
    """What one run did and found. `directory` has the logs and, after a violation, the history and the host ledger."""

    directory: Path
    injections: list[Injection] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is to be like. `hold_s`: how long what is harmed at sites stays so; `crowd`: how many agents the site of many
    has."""

    minutes: float
    seed: int
    edges: int
    hold_s: float = 30.0
    crowd: int = 500


async def chaos(faults: Sequence[Fault], terms: Terms) -> Run:
    """Runs all faults in rounds, each in a seeded order, until the time is over; a round that has begun is finished. Those that
    need sites are for a run that is inside of a network namespace of its own. Raises a `TendrilError` where the system does not
    start or does not answer any more."""
    # Steps may be another user's: they have to get through to the ledger, and to write there.
    run = Run(Path(tempfile.mkdtemp(prefix="tendril-chaos-")))
    run.directory.chmod(0o711)
    noted = run.directory / "ledger"
    noted.mkdir()
    noted.chmod(0o733)
    history = History()
    async with _up(run, faults, terms) as (up, there, many):
        await up.ask("PUT", f"/v1/config/job-groups/{GROUP}", json={"spec": {"description": "Jobs of a chaos run."}})
        beneath = Beneath(up.environment()["TENDRIL_DATABASE_URL"])
        load = Load(up.client, history, noted, terms.seed)
        choices = random.Random(terms.seed)  # noqa: S311 - no secrets
        places = {own_place(): SITE} | {site.line.namespace.place: site.name for site in there.values()}
        system = System(
            *(up, beneath, history, choices, LEASE_TTL_S, load, noted, terms.hold_s), there, many, places, set()
        )
        async with _working(load):
            await _harm(run, system, load, faults, terms.minutes)
        await _judge(run, system)
        await _verify(run, up)
        if code := await up.stop():
            run.violations.append(Violation("stops", f"`up` exited with {code}"))
    if run.violations:
        history.write(run.directory / "history.jsonl")
    return run


@asynccontextmanager
async def _up(
    run: Run, faults: Sequence[Fault], terms: Terms
) -> AsyncIterator[tuple[Machine, dict[str, Site], Crowd | None]]:
    """The system, with the sites and the many agents that the faults need."""
    crowded = any(fault.needs_crowd for fault in faults)
    apart = crowded or any(fault.needs_sites for fault in faults)
    environment = dict(ENVIRONMENT)
    tls = certified(run.directory / "tls", HOST, *addresses()) if apart else None
    if tls is not None:
        named = {"CERTIFICATE": tls.certificate, "KEY": tls.key, "CA": tls.ca}
        environment |= {f"TENDRIL_NATS_{name}": str(path) for name, path in named.items()}
    for fault in faults:
        environment |= fault.environment(run.directory)
    async with AsyncExitStack() as opened:
        up = await opened.enter_async_context(
            machine(run.directory / "home", edges=terms.edges, runtime="process", **environment)
        )
        there, many = {}, None
        if tls is not None:
            there = await opened.enter_async_context(sites(run.directory / "sites", up, tls))
        if tls is not None and crowded:
            many = await opened.enter_async_context(crowd(run.directory / "sites", up, tls, terms.crowd))
        yield up, there, many


@asynccontextmanager
async def _working(load: Load) -> AsyncIterator[None]:
    """New jobs arrive inside; left when every submission was answered."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(stop), name="load")
        load.mark()
        if await load.progress(RECOVERY_LIMIT_S) is None:
            raise Transient("no chunk was counted before the first fault")
        yield
        stop.set()


async def _harm(run: Run, system: System, load: Load, faults: Sequence[Fault], minutes: float) -> None:
    end_s = now_s() + 60 * minutes
    while True:
        for fault in system.random.sample(faults, len(faults)):
            injection = await _injected(run, fault, system, load)
            run.injections.append(injection)
            if injection.recovery_s is None:
                run.violations.append(
                    Violation("recovers", f"nothing was counted within {RECOVERY_LIMIT_S:g} s of {fault.name}")
                )
            await asyncio.sleep(system.random.uniform(0, PAUSE_S))
        if now_s() >= end_s:
            return


async def _injected(run: Run, fault: Fault, system: System, load: Load) -> Injection:
    _log.info("injecting", fault=fault.name)
    bitten = True
    try:
        try:
            await fault.inject(system)
        finally:
            await fault.heal(system)
            load.mark()
        shown = await fault.bitten(system)
    except LateError as error:
        shown = str(error)
        run.violations.append(Violation("returns", f"{fault.name}: {shown}"))
    except (NotBittenError, TendrilError, TimeoutError, psutil.Error) as error:
        bitten, shown = False, f"{type(error).__name__}: {error}"
        run.violations.append(Violation("bites", f"{fault.name}: {shown}"))
    recovery_s = await load.progress(RECOVERY_LIMIT_S)
    _log.info("injected", fault=fault.name, shown=shown, recovery_s=recovery_s and round(recovery_s, 2))
    return Injection(fault.name, bitten, shown, recovery_s)


async def _judge(run: Run, system: System) -> None:
    """Waits for quiet, and has the evidence checked."""
    up = system.machine
    await quiet(up, timeout_s=QUIET_LIMIT_S)
    try:
        lines = ledger.read(system.noted)
    except Invalid as error:
        run.violations.append(Violation("ledger", error.message))
        lines = []
    edges = [*((SITE, edge) for edge in up.edges), *((site, EDGE) for site in system.sites)]
    known = await last_words(up, system.history.orders), await attempts(up, edges)
    verdict = check(Evidence(system.history, tuple(lines), *known, system.places, frozenset(system.cloned)))
    run.violations += verdict.violations
    run.figures = verdict.figures


async def _verify(run: Run, up: Machine) -> None:
    """`tendril verify`, as a person would run it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "datamodel"),
        env={**os.environ, **up.environment()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), VERIFY_TIMEOUT_S)
    if process.returncode:
        run.violations.append(Violation("verify", said.decode(errors="replace").strip()))
