"""Links have any number of targets, and nodes say whose their fields are"""

import msgspec
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

from datamodel.ownership import Owners, owned, transferred

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    # The log stays as it was written: what reads an event knows both shapes.
    op.execute(
        """
        UPDATE nodes SET links = (SELECT jsonb_object_agg(key, jsonb_build_array(value)) FROM jsonb_each(links))
        WHERE links <> '{}'
        """
    )
    op.drop_constraint(op.f("links_pkey"), "links", type_="primary")
    op.alter_column("links", "target", type_=sa.Text(collation="C"), existing_type=sa.Text(), existing_nullable=False)
    op.create_primary_key(op.f("links_pkey"), "links", ["source", "name", "target"])
    op.add_column("nodes", sa.Column("owners", pg.JSON(astext_type=sa.Text()), nullable=True))
    op.execute(
        """
        UPDATE nodes SET owners = json_build_object('', events.actor) FROM events
        WHERE events.position = nodes.created_version
        """
    )
    _tell_other_owners(op.get_bind())
    op.alter_column("nodes", "owners", nullable=False)
    waiting = sa.text("deletion_requested_at IS NOT NULL")
    op.create_index("nodes_deleting", "nodes", ["path"], unique=False, postgresql_where=waiting)


_CHANGES = """
WITH others AS (
    SELECT DISTINCT nodes.path, nodes.uid FROM nodes JOIN events USING (path, uid)
    WHERE events.op IN ('specChanged', 'labelsChanged') AND events.actor <> nodes.owners ->> ''
)
SELECT path, op, part::text, actor FROM events JOIN others USING (path, uid)
WHERE op IN ('created', 'specChanged', 'labelsChanged') ORDER BY path, position
"""


def _tell_other_owners(connection: sa.Connection) -> None:
    """Folds what others than its creator have changed of a node."""
    owners: dict[str, Owners] = {}
    spec, labels = {}, {}
    for path, change, text, actor in connection.execute(sa.text(_CHANGES)):
        part = msgspec.json.decode(text)
        if change == "created":
            spec, labels = part.get("spec", {}), part.get("labels", {})
            owners[path] = {"": actor}
            continue
        before = owned(spec, labels)
        spec, labels = part.get("spec", spec), part.get("labels", labels)
        owners[path] = transferred(owners[path], before, owned(spec, labels), actor)
    told = sa.bindparam("told", type_=pg.JSON)
    update = sa.text("UPDATE nodes SET owners = :told WHERE path = :path").bindparams(told)
    if owners:
        connection.execute(update, [{"path": path, "told": of_it} for path, of_it in owners.items()])


def downgrade() -> None:
    op.drop_index("nodes_deleting", table_name="nodes")
    op.drop_column("nodes", "owners")
    op.execute(
        "DELETE FROM links USING links AS other WHERE (other.source, other.name) = (links.source, links.name)"
        " AND other.target < links.target"
    )
    op.drop_constraint(op.f("links_pkey"), "links", type_="primary")
    op.alter_column("links", "target", type_=sa.Text(), existing_type=sa.Text(collation="C"), existing_nullable=False)
    op.create_primary_key(op.f("links_pkey"), "links", ["source", "name"])
    op.execute(
        """
        UPDATE nodes SET links = (SELECT jsonb_object_agg(key, value -> 0) FROM jsonb_each(links))
        WHERE links <> '{}'
        """
    )
