"""Whether a model suits what is stored, asked before any program works with it."""

from collections.abc import AsyncIterator, Mapping, Sequence

import asyncpg

from datamodel.errors import Invalid
from datamodel.fingerprint import fingerprints
from datamodel.model import Model
from datamodel.node import Node
from datamodel.postgres import rows
from datamodel.postgres.connect import Connection, connect, transient
from datamodel.stored import Finding, breaches

BATCH_ROWS = 1_000
SHOWN = 100
"""The most objects that a refusal lists; all are counted."""


async def adopt(database_url: str, model: Model) -> None:
    """Makes the model the database's. Raises `Invalid` with a list of the objects that it breaks, and changes nothing then.
    Its cost is that of the nodes of the kinds whose declaration has changed."""
    connection = await connect(database_url)
    try:
        with transient("check the model"):
            await _adopt(connection, model)
    finally:
        connection.terminate()


async def _adopt(connection: Connection, model: Model) -> None:
    known = {row["kind"]: row for row in await connection.fetch("SELECT * FROM kinds")}
    wanted = fingerprints(model)
    changed = {name for name in wanted if name not in known or known[name]["fingerprint"] != wanted[name]}
    gone = (set(known) or await _stored_kinds(connection)).difference(wanted)
    listed: list[str] = []
    count = 0
    async for sentence in _broken(connection, model, known, sorted(changed | gone)):
        count += 1
        if count <= SHOWN:
            listed.append(f"  {sentence}")
    if count:
        more = [f"  … and {count - SHOWN} more"] if count > SHOWN else []
        raise Invalid("\n".join([f"the model breaks {count} of what is stored; nothing was changed:", *listed, *more]))
    await connection.execute(
        "WITH wanted AS (SELECT * FROM unnest($1::text[], $2::int[], $3::text[]) AS row(kind, version, fingerprint)),"
        " gone AS (DELETE FROM kinds WHERE kind <> ALL($1))"
        " INSERT INTO kinds SELECT * FROM wanted ON CONFLICT (kind)"
        " DO UPDATE SET version = excluded.version, fingerprint = excluded.fingerprint",
        list(wanted),
        [model.kinds[name].version for name in wanted],
        list(wanted.values()),
    )


async def _stored_kinds(connection: Connection) -> set[str]:
    """Of a database that was never told of its model."""
    return {row["kind"] for row in await connection.fetch("SELECT DISTINCT kind FROM nodes")}


async def _broken(
    connection: Connection, model: Model, known: Mapping[str, asyncpg.Record], kinds: Sequence[str]
) -> AsyncIterator[str]:
    """A sentence for each object that the model breaks, in order of kind and path."""
    for kind in kinds:
        declared = model.kinds.get(kind)
        if declared is not None and kind in known and known[kind]["version"] > declared.version:
            yield f"{kind}: version {declared.version} is older than {known[kind]['version']}, which the database had"
        living = 0
        async for node, phase in _nodes(connection, kind):
            living += 1
            if found := breaches(model, node, phase):
                yield f"{node.path}: {_said(found)}"
        if declared is None and not living and await _is_in_the_log(connection, kind):
            yield f"{kind}: is not declared any more, and the log has events of it: keep its declaration"


def _said(findings: Sequence[Finding]) -> str:
    return "; ".join(f"{field}: {says}" for field, says in findings)


async def _nodes(connection: Connection, kind: str) -> AsyncIterator[tuple[Node, str]]:
    """The nodes of a kind as they are stored, each with the phase under which it is listed."""
    after = ""
    while found := await connection.fetch(
        f"SELECT {rows.NODE_COLUMNS}, phase FROM nodes WHERE kind = $1 AND path > $2 ORDER BY path LIMIT {BATCH_ROWS}",
        kind,
        after,
    ):
        for row in found:
            yield rows.stored_node(row), row["phase"]
        after = found[-1]["path"]


async def _is_in_the_log(connection: Connection, kind: str) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM events WHERE kind = $1)"
            " OR EXISTS (SELECT FROM base_rows WHERE source = 'nodes' AND content ->> 'kind' = $1)",
            kind,
        )
    )
