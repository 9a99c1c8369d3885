"""Lists in any order, and nodes that say what they belong to"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.add_column(
        "nodes", sa.Column("era", sa.BigInteger(), sa.Computed("version >> 14", persisted=True), nullable=True)
    )
    op.add_column("nodes", sa.Column("correlation", sa.Text(), server_default="", nullable=False))
    op.execute(
        "UPDATE nodes SET correlation = events.correlation FROM events"
        " WHERE events.position = nodes.created_version AND events.correlation <> ''"
    )
    op.create_index(op.f("nodes_kind_created_version"), "nodes", ["kind", "created_version"], unique=False)
    op.create_index(op.f("nodes_kind_era"), "nodes", ["kind", "era"], unique=False)
    _forget_fields()


def downgrade() -> None:
    _forget_fields()
    op.drop_index(op.f("nodes_kind_era"), table_name="nodes")
    op.drop_index(op.f("nodes_kind_created_version"), table_name="nodes")
    op.drop_column("nodes", "correlation")
    op.drop_column("nodes", "era")


def _forget_fields() -> None:
    """Times and missing values are written otherwise, and which field is a time is no SQL: all fields are filled in after every
    upgrade, see `datamodel/postgres/facets.py`."""
    op.execute("DELETE FROM facets WHERE NOT starts_with(facet, 'label:')")
