"""What the reads of the past and of pages look at, as Postgres tells it: no more than what they are asked for."""

import json
from collections.abc import Iterator
from typing import Any, get_args

from datamodel.command import Command
from datamodel.event import Op
from datamodel.postgres.connect import connect_writer
from datamodel.postgres.history import NEWEST
from datamodel.postgres.store import PostgresStore
from tests.graph import SYSTEM, new_job, present, unit


async def test_an_old_node_costs_no_more_than_a_young_one(postgres: PostgresStore, database_url: str) -> None:
    """Of a thousand changes of a status, none is read but the last."""
    node = await new_job(postgres)
    status = [Command("patchStatus", node.path, {"percentCompleted": float(n)}) for n in range(1_000)]
    await postgres.append([unit(command, actor=SYSTEM) for command in status])
    latest = await present(postgres, node.path)
    await postgres.append([unit(Command("patchSpec", node.path, {"retries": 7}))])
    plan = await explained(database_url, NEWEST, [node.path], latest.version - 1, list(get_args(Op)))
    read = sum(touched(scan) for scan in scans(plan, "events"))
    assert read <= 2 * len(get_args(Op)), plan
    (former,) = (await postgres.nodes_at([node.path], latest.version - 1)).values()
    assert former.status["percentCompleted"] == 998.0


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
    if plan.get("Relation Name") == table:
        yield plan
    for below in plan.get("Plans", ()):
        yield from scans(below, table)


def touched(scan: dict[str, Any]) -> int:
    """How many rows a scan looked at."""
    removed = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    return int((scan["Actual Rows"] + removed) * scan["Actual Loops"])
