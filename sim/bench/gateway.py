"""What the gateway carries, beside what the same answers cost without it: a node and a list of 100 jobs over REST beside bare
FastAPI routes, a GraphQL page of 100 jobs with their executions by edge beside a hand-written Strawberry schema.

Both run the same SQL on the same database, each in a process of its own (`bare.py`). Where npm is there, the page is measured
beside PostGraphile's too, which makes its schema of the tables.
"""

import contextlib
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from datamodel.errors import Transient
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from deploy.local.child import Child
from deploy.local.ports import HOST, free_port
from deploy.local.supervisor import Supervisor
from sim.bench.client import Client
from sim.bench.postgraphile.page import as_the_gateway, postgraphile_page
from sim.bench.postgraphile.server import installable, postgraphile
from sim.bench.scenarios import document, quiet
from sim.bench.stack import READY_TIMEOUT_S, Stack, stack
from sim.bench.turns import ROUNDS, TURN_S, Question, Served, compared

EDGES = 20
GROUPS = 20
JOBS = 200
"""Of each group."""
CHUNKS = 4
"""Of each job."""
PAGE = 100
REST_PERCENT, GRAPHQL_PERCENT = 60.0, 80.0
"""Aims: of the requests a second of what stands beside."""

_QUERY = """
query Page($path: String!, $first: Int!) { node(path: $path) { ... on JobGroup { jobs(first: $first) { edges { node {
  name createdAt status { phase percentCompleted } executions { site edge chunks succeeded percent }
} } } } } }
"""


def questions(groups: int, jobs: int) -> Mapping[str, Question]:
    """What is asked of so many groups of so many jobs."""

    def get(client: Client, dice: random.Random) -> bytes:
        return client.request("GET", f"/v1{_group(dice, groups)}/jobs/j{dice.randrange(jobs)}")

    def listed(client: Client, dice: random.Random) -> bytes:
        return client.request("GET", f"/v1{_group(dice, groups)}/jobs?limit={PAGE}")

    def page(client: Client, dice: random.Random) -> bytes:
        asked = {"query": _QUERY, "variables": {"path": _group(dice, groups), "first": PAGE}}
        return client.request("POST", "/graphql", asked)

    return {
        "restGet": Question(get, REST_PERCENT),
        "restList": Question(listed, REST_PERCENT),
        "graphqlPage": Question(page, GRAPHQL_PERCENT),
    }


def _group(dice: random.Random, groups: int) -> str:
    return f"/config/job-groups/g{dice.randrange(groups)}"


async def gateway() -> dict[str, Any]:
    """The figures, on a system of its own whose jobs have all run."""
    async with stack(edges=EDGES) as system:
        found = await figures(system, GROUPS, JOBS, rounds=ROUNDS, turn_s=TURN_S)
        return found | {"graphqlPageBesidePostgraphile": await _beside_postgraphile(system)}


async def figures(system: Stack, groups: int, jobs: int, *, rounds: int, turn_s: float) -> dict[str, Any]:
    """With so many groups of so many jobs. Raises `Transient` where what stands beside the gateway answers otherwise."""
    await _fill(system, groups, jobs)
    asked = questions(groups, jobs)
    async with bare(system.database_url) as beside:
        servers = {"gateway": Served(system.port, system.gateway_pid), "bare": beside}
        for name, question in asked.items():
            await _check_same(name, question, servers)
        return {
            name: await compared(question, servers, rounds=rounds, turn_s=turn_s) for name, question in asked.items()
        }


async def _beside_postgraphile(system: Stack) -> dict[str, Any]:
    """The same page of both, each asked in its own language."""
    if not installable():
        return {"notMeasured": "it takes npm, and Linux on x86-64"}

    def page(client: Client, dice: random.Random) -> bytes:
        return postgraphile_page(client, f"{_group(dice, GROUPS)}/jobs", PAGE)

    question = Question(questions(GROUPS, JOBS)["graphqlPage"].request)
    async with postgraphile(system.database_url) as (port, pid):
        servers = {
            "gateway": Served(system.port, system.gateway_pid),
            "postgraphile": Served(port, pid, page, as_the_gateway),
        }
        await _check_same("graphqlPage", question, servers)
        return await compared(question, servers, rounds=ROUNDS, turn_s=TURN_S)


async def _fill(system: Stack, groups: int, jobs: int) -> None:
    """Groups of jobs that ran on several edges each."""
    client = Client(HOST, system.port)
    await client.open(1)
    with contextlib.closing(client):
        for group in range(groups):
            await client.post("/v1/config/job-groups", {"metadata": {"name": f"g{group}"}})
            documents = [{**document(f"j{job}", chunks=CHUNKS), "group": f"g{group}"} for job in range(jobs)]
            await client.post("/v1/jobs:batch", {"jobs": documents})
    async with PostgresStore(system.database_url, MODEL) as store:
        await quiet(store)


@contextlib.asynccontextmanager
async def bare(database_url: str) -> AsyncIterator[Served]:
    """Serves the bare routes meanwhile."""
    port = free_port()
    environment = {**os.environ, "TENDRIL_DATABASE_URL": database_url}

    async def ready() -> bool:
        client = Client(HOST, port)
        with contextlib.suppress(OSError, Transient), contextlib.closing(client):
            await client.open(1)
            return bool(await client.get("/v1/config/job-groups/g0/jobs"))
        return False

    with tempfile.TemporaryDirectory(prefix="tendril-bench-") as directory:
        async with Supervisor(Path(directory)) as supervisor:
            argv = (sys.executable, "-m", "sim.bench.bare", str(port))
            supervisor.launch(Child("bare", argv, environment, ready=ready))
            await supervisor.until_ready(timeout_s=READY_TIMEOUT_S)
            yield Served(port, supervisor.pid("bare") or 0)


async def _check_same(name: str, question: Question, servers: Mapping[str, Served]) -> None:
    """What is compared is how they answer, not what."""
    answers = []
    for server in servers.values():
        client = Client(HOST, server.port)
        await client.open(1)
        with contextlib.closing(client):
            dice = random.Random(1)  # noqa: S311 - the same for each
            body = await client.send((server.request or question.request)(client, dice))
            answers.append(server.as_others(_settled(body)))
    if any(answer != answers[0] for answer in answers):
        raise Transient(f"{name}: what stands beside the gateway answers otherwise")


def _settled(body: bytes) -> Any:
    """An answer without what the log's end makes of it."""
    answer = msgspec.json.decode(body)
    return {name: value for name, value in answer.items() if name not in ("position", "bookmark", "cursor")}
