"""What the reads of the past and of pages look at, as Postgres tells it: no more than what they are asked for."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, get_args

import asyncpg
import pytest
import pytest_asyncio

from datamodel.command import Command
from datamodel.event import Op
from datamodel.postgres.base_rows import READ
from datamodel.postgres.connect import connect_writer
from datamodel.postgres.history import NEWEST, OTHERS, OWNED
from datamodel.postgres.orders import FEW, few_query, sorted_query
from datamodel.postgres.rows import ERA_BITS
from datamodel.postgres.store import PostgresStore
from datamodel.postgres.walks import CHANGED, places_query, walk_query
from datamodel.sorting import CREATED, VERSION, Place, beginning, sort_of
from datamodel.walk import Span, Walk
from tests.graph import JOBS, SYSTEM, new_job, present, unit
from tests.waiting import eventually

JOBS_MADE = 20_000
LIMIT = 101


@pytest.mark.parametrize("counted", ["never", "before", "after"])
async def test_an_old_node_costs_no_more_than_a_young_one(
    postgres: PostgresStore, database_url: str, counted: str
) -> None:
    """Of a thousand changes of a status, none is read but the last."""
    node = await new_job(postgres)
    if counted == "before":
        await analyze(database_url)
    status = [Command("patchStatus", node.path, {"percentCompleted": float(n)}) for n in range(1_000)]
    await postgres.append([unit(command, actor=SYSTEM) for command in status])
    latest = await present(postgres, node.path)
    await postgres.append([unit(Command("patchSpec", node.path, {"retries": 7}))])
    if counted == "after":
        await analyze(database_url)
    plan = await explained(database_url, NEWEST, [node.path], [latest.version - 1], OTHERS, OWNED)
    read = sum(touched(scan) for scan in scans(plan, "events"))
    assert read <= 2 * len(get_args(Op)), plan
    (former,) = (await postgres.nodes_at([node.path], latest.version - 1)).values()
    assert former.status["percentCompleted"] == 998.0


@pytest_asyncio.fixture(params=["never counted", "others counted", "counted while it was filled", "counted"])
async def many(
    request: pytest.FixtureRequest, postgres: PostgresStore, database_url: str
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """20,000 jobs, each a node with one event; 1 in 200 is labelled, 1 in 100 runs. Whoever counts the rows while they are
    filled in, as autovacuum may, believes that these large tables hold next to none; and what was counted of others stays."""
    connection = await asyncpg.connect(database_url)
    base = (await postgres.head()).position
    if request.param == "others counted":
        facets = (
            f"INSERT INTO facets SELECT '{JOBS}/j' || n, 'status.phase', 'Job', n % 3 FROM generate_series(1, 4000) n"
        )
        for statement in (facets, "ANALYZE facets", "DELETE FROM facets", "VACUUM facets"):
            await connection.execute(statement)
    await connection.execute("BEGIN")
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
    if request.param in ("others counted", "counted while it was filled"):
        await analyze(database_url)
    await connection.execute("COMMIT")
    if request.param == "counted":
        await connection.execute("ANALYZE")
    yield connection
    await connection.close()


async def test_a_page_is_a_run_of_an_index(many: "asyncpg.Connection[asyncpg.Record]", database_url: str) -> None:
    spans = [Span(f"{JOBS}/j{digit}", f"{JOBS}0") for digit in (3, 1, 2)]
    for parts in (spans[:1], spans):
        walks = [Walk(("Job",), span, "label:team", ("red",)) for span in parts]
        labelled = await explained(database_url, *walk_query([(walk, None) for walk in walks], LIMIT))
        values = ("running", "pending")
        walks = [Walk(("Job",), span, "status.phase", values) for span in parts]
        phased = await explained(database_url, *walk_query([(walk, None) for walk in walks], LIMIT))
        for plan, of in ((labelled, 1), (phased, 2)):
            assert 0 < sum(touched(scan) for scan in scans(plan, "facets")) <= of * LIMIT * len(parts), plan
            assert sum(touched(scan) for scan in scans(plan, "nodes")) <= LIMIT * len(parts), plan
        walks = [Walk(("Job",), span) for span in parts]
        of_kind = await explained(database_url, *walk_query([(walk, None) for walk in walks], LIMIT))
        assert sum(touched(scan) for scan in scans(of_kind, "nodes")) == LIMIT * len(parts), of_kind


async def test_a_sorted_page_does_not_sort_everything(
    many: "asyncpg.Connection[asyncpg.Record]", database_url: str
) -> None:
    """Each node had ten changes, so that an era has few of them."""
    await many.execute("UPDATE nodes SET version = 10 * created_version WHERE kind = 'Job'")
    (middle,) = await many.fetch(
        f"SELECT created_version, version, path FROM nodes WHERE path = '{JOBS}/j{JOBS_MADE // 2}'"
    )
    for sort in map(sort_of, ("status.phase", "-status.phase", "createdAt", "-createdAt", "version", "-version")):
        of_an_era = (1 << ERA_BITS) // 10 if sort.name == VERSION else 0
        key = {CREATED: middle["created_version"], VERSION: middle["version"]}.get(sort.name, "pending")
        for after in (beginning(sort), Place(key, middle["path"])):
            walk = Walk(("Job",), Span.below(JOBS), sort=sort)
            plan = await explained(database_url, *sorted_query([(walk, after)], "Job", LIMIT, few=False))
            for table in ("facets", "nodes"):
                assert sum(touched(scan) for scan in scans(plan, table)) <= 2 * (LIMIT + of_an_era), (sort, plan)
            below = replace(walk, span=Span.below(f"{JOBS}/j7"), facet="label:team", values=("red",))
            plan = await explained(database_url, *sorted_query([(below, after)], "Job", LIMIT, few=False))
            for table in ("facets", "nodes"):
                assert sum(touched(scan) for scan in scans(plan, table)) <= 3 * (LIMIT + of_an_era), (sort, plan)
    few = await explained(database_url, *few_query([Walk(("Job",), Span.below(JOBS))], "Job"))
    assert sum(touched(scan) for scan in scans(few, "nodes")) <= FEW + 1, few


async def test_a_change_of_status_stays_out_of_the_indexes(postgres: PostgresStore, database_url: str) -> None:
    """What makes lists in order of the last change costs those who write nothing (unless an era ends)."""
    jobs = [await new_job(postgres, f"j{number}") for number in range(5)]
    for number in range(10):
        changes = [Command("patchStatus", job.path, {"percentCompleted": float(number + 1)}) for job in jobs]
        await postgres.append([unit(command, actor=SYSTEM) for command in changes])
    connection = await asyncpg.connect(database_url)
    try:

        async def counted() -> bool:
            return bool(await connection.fetchval(f"SELECT n_tup_upd >= 50 {_UPDATES}"))

        await eventually(counted)
        assert await connection.fetchval(f"SELECT n_tup_hot_upd {_UPDATES}") >= 45
    finally:
        await connection.close()


_UPDATES = "FROM pg_stat_user_tables WHERE relname = 'nodes'"


async def test_what_changed_costs_what_changed(
    many: "asyncpg.Connection[asyncpg.Record]", postgres: PostgresStore, database_url: str
) -> None:
    end = (await postgres.head()).position
    span = ("/config/", "/config0", LIMIT)
    plan = await explained(database_url, CHANGED, *span, end - 10, end)
    assert sum(touched(scan) for scan in scans(plan, "events")) == 10, plan
    plan = await explained(database_url, *places_query([Span.below("/config")] * 2, LIMIT))
    assert sum(touched(scan) for scan in scans(plan, "events")) <= 2 * (LIMIT + 1), plan


async def test_the_base_is_folded_by_key(many: "asyncpg.Connection[asyncpg.Record]", database_url: str) -> None:
    await many.execute("INSERT INTO base_rows SELECT 'nodes', path, '{}' FROM nodes")
    keys = [f"{JOBS}/j{number}" for number in range(1, LIMIT + 1)]
    plan = await explained(database_url, READ, ["nodes"] * LIMIT, keys)
    assert sum(touched(scan) for scan in scans(plan, "base_rows")) == LIMIT, plan


async def analyze(url: str) -> None:
    """Has Postgres count the rows, as autovacuum does at any time."""
    connection = await asyncpg.connect(url)
    await connection.execute("ANALYZE")
    await connection.close()


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
