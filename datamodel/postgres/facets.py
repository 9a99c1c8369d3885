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
                    while await _fill(connection, model, kind, name):
                        pass
    finally:
        connection.terminate()


async def _fill(connection: Connection, model: Model, kind: type[Kind], name: str) -> int:
    """How many nodes of a batch lacked the field."""
    field = selectable_fields(kind)[name]
    async with connection.transaction():
        await connection.execute("SELECT FROM head FOR UPDATE")
        lacking = await connection.fetch(
            f"SELECT {rows.NODE_COLUMNS} FROM nodes WHERE kind = $1"
            " AND NOT EXISTS (SELECT FROM facets WHERE facets.path = nodes.path AND facet = $2) LIMIT $3",
            kind.__name__,
            name,
            BATCH_NODES,
        )
        nodes = [rows.node(model, row) for row in lacking]
        await connection.execute(
            "INSERT INTO facets SELECT * FROM json_populate_recordset(NULL::facets, $1)",
            _encode([rows.FacetRow(n.path, name, n.kind, field.value(n.spec, n.status)) for n in nodes]).decode(),
        )
    return len(nodes)
