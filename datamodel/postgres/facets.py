"""Facets of nodes that were written before their kind declared them."""

import msgspec

from datamodel.facets import selectable_fields
from datamodel.kinds import Kind
from datamodel.model import Model
from datamodel.postgres import rows
from datamodel.postgres.connect import Connection, connect, transient

BATCH_NODES = 1_000
"""Filled in at once: nobody can append meanwhile."""

_encode = msgspec.json.Encoder().encode


async def fill_facets(url: str, model: Model) -> None:
    """Makes the rows of declared fields what the model says now: adds those that no node had, and removes what is not declared
    any more. Each batch is a transaction with the log's lock. Raises `Transient`."""
    connection = await connect(url)
    try:
        with transient("fill in facets"):
            for kind in model.kinds.values():
                await connection.execute(
                    "DELETE FROM facets WHERE kind = $1 AND facet <> ALL($2) AND NOT starts_with(facet, 'label:')",
                    kind.__name__,
                    list(kind.selectable),
                )
                for name in kind.selectable:
                    while lacking := await _lacking(connection, kind, name):
                        await _fill(connection, model, kind, name, lacking)
    finally:
        connection.terminate()


async def _lacking(connection: Connection, kind: type[Kind], name: str) -> list[str]:
    """Paths of nodes without the field. Who writes a node now writes its facets too, so none is added meanwhile."""
    found = await connection.fetch(
        "SELECT path FROM nodes WHERE kind = $1"
        " AND NOT EXISTS (SELECT FROM facets WHERE facets.path = nodes.path AND facet = $2) LIMIT $3",
        kind.__name__,
        name,
        BATCH_NODES,
    )
    return [row["path"] for row in found]


async def _fill(connection: Connection, model: Model, kind: type[Kind], name: str, paths: list[str]) -> None:
    field = selectable_fields(kind)[name]
    async with connection.transaction():
        await connection.execute("SELECT FROM head FOR UPDATE")
        found = await connection.fetch(f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE path = ANY($1)", paths)
        nodes = [rows.node(model, row) for row in found]
        await connection.execute(
            "INSERT INTO facets SELECT * FROM json_populate_recordset(NULL::facets, $1) ON CONFLICT DO NOTHING",
            _encode([rows.FacetRow(n.path, name, n.kind, field.value(n.spec, n.status)) for n in nodes]).decode(),
        )
