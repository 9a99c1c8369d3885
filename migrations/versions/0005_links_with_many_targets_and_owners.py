"""Links have any number of targets, and nodes say whose their fields are"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0003"
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


def downgrade() -> None:
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
