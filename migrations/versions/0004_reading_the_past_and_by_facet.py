"""Reading the past, and finding nodes by their labels and declared fields"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_index(op.f("events_path_op_position"), "events", ["path", "op", "position"], unique=False)
    op.create_table(
        "facets",
        sa.Column("path", sa.Text(collation="C"), nullable=False),
        sa.Column("facet", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("path", "facet"),
        comment="What nodes are found by: labels and declared fields. A page of those with one value is one walk of the index.",
    )
    op.create_index(op.f("facets_kind_facet_value_path"), "facets", ["kind", "facet", "value", "path"], unique=False)
    # What kinds declare is no SQL: the fields are filled in after every upgrade, see `datamodel/postgres/facets.py`.
    op.execute(
        "INSERT INTO facets (path, facet, kind, value)"
        " SELECT path, 'label:' || key, kind, value FROM nodes, jsonb_each_text(labels)"
    )


def downgrade() -> None:
    op.drop_index(op.f("facets_kind_facet_value_path"), table_name="facets")
    op.drop_table("facets")
    op.drop_index(op.f("events_path_op_position"), table_name="events")
