"""The words in which tests speak of the graph: actors, commands and the few nodes that most of them need."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from datamodel.command import Actor, Command, Outcome, Unit, raise_refused
from datamodel.memory import MemoryStore
from datamodel.model import Model
from datamodel.node import Node
from datamodel.ports import Leases, Log, Store
from datamodel.prepare import prepare
from datamodel.scheduling.attempts import attempt_name
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.model import MODEL
from datamodel.scheduling.splitting import chunks_of

USER = Actor("ann", "user")
SYSTEM = Actor("placement", "system")
EDGE = Actor("agent", "edge", scopes=frozenset({"/sites/s"}))

CAPACITY = {"cpu": 1.0, "memoryBytes": 2**30, "powerW": 10.0}
REQUESTS = {"cpu": 0.25, "memoryBytes": 2**20, "powerW": 1.0}
STEPS = [{"name": "run", "image": "busybox", "script": "true"}]

JOBS = "/config/job-groups/default/jobs"


def memory_store(model: Model = MODEL) -> MemoryStore:
    """An empty store on the machine's clock, with ids that count."""
    return MemoryStore(model, lambda: datetime.now(UTC), counted_ids())


def counted_ids() -> Iterator[str]:
    return (f"{number:032x}" for number in itertools.count(1))


def unit(*commands: Command, actor: Actor = USER, **guards: Any) -> Unit:
    return prepare(MODEL, Unit(commands, actor, **guards))


async def send(log: Log, *commands: Command, actor: Actor = USER, **guards: Any) -> Outcome:
    """The verdicts on one unit."""
    (outcome,) = await log.append([prepare(log.model, Unit(commands, actor, **guards))])
    return outcome


async def holders(leases: Leases, *prefixes: str) -> dict[str, str]:
    """By name, who holds which leases now."""
    found = await leases.renew(prefixes, "nobody", 60.0)
    return {name: lease.holder for name, lease in found.items()}


async def done(log: Log, *commands: Command, actor: Actor = USER, **guards: Any) -> Outcome:
    """The verdicts on one unit, none of which may be a refusal."""
    return raise_refused(await send(log, *commands, actor=actor, **guards))


def refusal(outcome: Outcome, command: int = 0) -> type[Exception] | None:
    error = outcome[command].error
    return type(error) if error is not None else None


def job(name: str = "j", **spec: Any) -> Command:
    return Command("create", f"{JOBS}/{name}", {"steps": STEPS, "requests": REQUESTS, **spec})


async def new_job(store: Store, name: str = "j", **spec: Any) -> Node:
    await done(store, job(name, **spec))
    return await present(store, f"{JOBS}/{name}")


async def new_edge(store: Store, name: str = "e", **capacity: Any) -> None:
    """An edge of site `s` in both planes; the site is made where it is missing."""
    sites = (Command("apply", "/inventory/sites/s"), Command("apply", "/desired-config/sites/s"))
    await done(store, *sites, Command("create", desired_path("s", name)), actor=SYSTEM)
    await done(store, Command("create", inventory_path("s", name), edge_spec(**capacity)), actor=EDGE)


def edge_spec(**capacity: Any) -> dict[str, Any]:
    return {
        "capacity": {**CAPACITY, **capacity},
        "runtime": "simulated",
        "agent": "agent",
        "agentVersion": "1",
        "incarnation": "1",
        "notIsolated": [],
        "trouble": "",
        "guards": False,
    }


def attempt_path(job: Node, index: int = 0, epoch: int = 1, edge: str = "e") -> str:
    return f"{desired_path('s', edge)}/attempts/{attempt_name(job.uid, index, epoch)}"


def attempt(job: Node, index: int = 0, epoch: int = 1, edge: str = "e", **spec: Any) -> Command:
    body = {
        "job": job.path,
        "index": index,
        "count": chunks_of(job),
        "steps": job.spec["steps"],
        "requests": job.spec["requests"],
        "retries": job.spec["retries"],
        **spec,
    }
    if rules := job.spec.get("retryPolicy", {}).get("exitCodes"):
        body["exitCodes"] = rules
    return Command("create", attempt_path(job, index, epoch, edge), body, links={"job": (job.path,)})


async def place(store: Store, job: Node, index: int = 0, epoch: int = 1, edge: str = "e", **spec: Any) -> str:
    """The path of a new attempt."""
    (verdict,) = await done(store, attempt(job, index, epoch, edge, **spec), actor=SYSTEM)
    return verdict.path


async def report(store: Store, path: str, **status: Any) -> Outcome:
    return await send(store, Command("patchStatus", path, status), actor=EDGE)


async def present(store: Store, path: str) -> Node:
    return (await store.nodes([path]))[path]
