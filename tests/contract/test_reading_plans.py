"""What the reads of the past and of pages look at, as Postgres tells it: no more than what they are asked for."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, get_args

import asyncpg
import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.event import Op
from datamodel.postgres.base_rows import READ
from datamodel.postgres.connect import connect_writer
from datamodel.postgres.history import NEWEST, OTHERS, OWNED
from datamodel.postgres.store import PostgresStore
from datamodel.postgres.walks import BY_FACET, BY_KIND, CHANGED, PLACES
from tests.graph import JOBS, SYSTEM, new_job, present, unit

JOBS_MADE = 20_000
LIMIT = 101


async def test_an_old_node_costs_no_more_than_a_young_one(postgres: PostgresStore, database_url: str) -> None:
    """Of a thousand changes of a status, none is read but the last."""
    node = await new_job(postgres)
    status = [Command("patchStatus", node.path, {"percentCompleted": float(n)}) for n in range(1_000)]
    await postgres.append([unit(command, actor=SYSTEM) for command in status])
    latest = await present(postgres, node.path)
    await postgres.append([unit(Command("patchSpec", node.path, {"retries": 7}))])
    plan = await explained(database_url, NEWEST, [node.path], [latest.version - 1], OTHERS, OWNED)
    read = sum(touched(scan) for scan in scans(plan, "events"))
    assert read <= 2 * len(get_args(Op)), plan
    (former,) = (await postgres.nodes_at([node.path], latest.version - 1)).values()
    assert former.status["percentCompleted"] == 998.0


@pytest_asyncio.fixture
async def many(postgres: PostgresStore, database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """20,000 jobs, each a node with one event; 1 in 200 is labelled, 1 in 100 runs."""
    connection = await asyncpg.connect(database_url)
    base = (await postgres.head()).position
    await connection.execute(
        f"""
        INSERT INTO events SELECT {base} + n, n::text, now(), 'created', '{JOBS}/j' || n, md5(n::text), 'Job',
          '{{"spec": {{}}}}', '', '', '' FROM generate_series(1, {JOBS_MADE}) AS n;
        INSERT INTO nodes SELECT '{JOBS}/j' || n, md5(n::text), 'Job', '{{}}', '{{}}', '{{}}', '', '{{}}', '{{}}', 1,
          {base} + n, {base} + n, now(), NULL, '{{}}' FROM generate_series(1, {JOBS_MADE}) AS n;
        INSERT INTO facets SELECT '{JOBS}/j' || n, 'label:team', 'Job', 'red' FROM generate_series(1, {JOBS_MADE}, 200) AS n;
        INSERT INTO facets SELECT '{JOBS}/j' || n, 'status.phase', 'Job', CASE n % 100 WHEN 0 THEN 'running' ELSE 'pending' END
          FROM generate_series(1, {JOBS_MADE}) AS n;
        UPDATE head SET position = {base} + {JOBS_MADE}
        """
    )
    yield connection
    await connection.close()


@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_page_is_a_run_of_an_index(
    many: "asyncpg.Connection[asyncpg.Record]", database_url: str, *, analyzed: bool
) -> None:
    if analyzed:
        await many.execute("ANALYZE")
    span = (f"{JOBS}/j3", f"{JOBS}0", LIMIT)
    labelled = await explained(database_url, BY_FACET, *span, ["Job"], "label:team", ["red"])
    phased = await explained(database_url, BY_FACET, *span, ["Job"], "status.phase", ["running", "pending"])
    for plan, values in ((labelled, 1), (phased, 2)):
        assert 0 < sum(touched(scan) for scan in scans(plan, "facets")) <= values * LIMIT, plan
        assert sum(touched(scan) for scan in scans(plan, "nodes")) <= LIMIT, plan
    of_kind = await explained(database_url, BY_KIND, *span, "Job")
    assert sum(touched(scan) for scan in scans(of_kind, "nodes")) == LIMIT, of_kind


@pytest.mark.parametrize("analyzed", [False, True])
async def test_what_changed_costs_what_changed(
    many: "asyncpg.Connection[asyncpg.Record]", postgres: PostgresStore, database_url: str, *, analyzed: bool
) -> None:
    if analyzed:
        await many.execute("ANALYZE")
    end = (await postgres.head()).position
    span = ("/config/", "/config0", LIMIT)
    plan = await explained(database_url, CHANGED, *span, end - 10, end)
    assert sum(touched(scan) for scan in scans(plan, "events")) == 10, plan
    plan = await explained(database_url, PLACES, *span)
    assert sum(touched(scan) for scan in scans(plan, "events")) <= LIMIT + 1, plan


@pytest.mark.parametrize("analyzed", [False, True])
async def test_the_base_is_folded_by_key(
    many: "asyncpg.Connection[asyncpg.Record]", database_url: str, *, analyzed: bool
) -> None:
    await many.execute("INSERT INTO base_rows SELECT 'nodes', path, '{}' FROM nodes")
    if analyzed:
        await many.execute("ANALYZE")
    keys = [f"{JOBS}/j{number}" for number in range(1, LIMIT + 1)]
    plan = await explained(database_url, READ, ["nodes"] * LIMIT, keys)
    assert sum(touched(scan) for scan in scans(plan, "base_rows")) == LIMIT, plan


async def explained(url: str, query: str, *arguments: Any) -> dict[str, Any]:
    """The plan of a query as readers run it, with what it did."""
    connection = await connect_writer(url, "SELECT")
    try:
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    finally:
        await connection.close()
    plan: dict[str, Any] = json.loads(told)[0]["Plan"]
    return plan


def scans(plan: dict[str, Any], table: str) -> Iterator[dict[str, Any]]:
    if plan.get("Relation Name", "").startswith(table):  # a segment of the log is named after it
        yield plan
    for below in plan.get("Plans", ()):
        yield from scans(below, table)


def touched(scan: dict[str, Any]) -> int:
    """How many rows a scan looked at."""
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return int((scan["Actual Rows"] + removed) * scan["Actual Loops"])
