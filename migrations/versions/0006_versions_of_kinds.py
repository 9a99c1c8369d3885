"""Versions of kinds: with which one a node or event was written, and which ones the database was migrated for"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    for table in ("events", "nodes"):
        op.add_column(table, sa.Column("schema", sa.Integer(), server_default="1", nullable=False))
    op.create_table(
        "kinds",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("kinds_version_positive")),
        sa.PrimaryKeyConstraint("kind"),
        comment="The kinds of the model that the database was migrated for, with a digest of what is declared of each.",
    )


def downgrade() -> None:
    op.drop_table("kinds")
    for table in ("nodes", "events"):
        op.drop_column(table, "schema")
