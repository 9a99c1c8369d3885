"""The log in segments, and the base that it goes on from"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

_SEGMENT_POSITIONS = 1_000_000


def upgrade() -> None:
    op.create_table(
        "base",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("one", name=op.f("base_single")),
        sa.PrimaryKeyConstraint("one"),
        comment="Where the base is: the oldest position that can be read, and the time of its event.",
    )
    op.create_table(
        "base_rows",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("content", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("source", "key"),
        comment="What nodes, pools, ledger and totals were at the base, by table and key. They are read and written whole.",
    )
    op.execute("INSERT INTO base (position, at) VALUES (0, 'epoch')")
    # What there is becomes the first segment as it is: it is read once for its positions, and nothing is copied.
    last = op.get_bind().scalar(sa.text("SELECT coalesce(max(position), 0) FROM events"))
    end = (last // _SEGMENT_POSITIONS + 1) * _SEGMENT_POSITIONS
    op.execute("CREATE SCHEMA segments")
    op.execute("ALTER TABLE events SET SCHEMA segments")
    op.execute("ALTER TABLE segments.events RENAME TO events_1")
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("op", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("part", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("correlation", sa.Text(), nullable=False),
        sa.Column("schema", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint("position > 0", name=op.f("events_position_positive")),
        sa.PrimaryKeyConstraint("position"),
        comment="The log: append-only, positions dense. Its segments are partitions, in the schema segments.",
        postgresql_partition_by="RANGE (position)",
    )
    op.create_index(op.f("events_path_op_position"), "events", ["path", "op", "position"], unique=False)
    op.execute(f"ALTER TABLE events ATTACH PARTITION segments.events_1 FOR VALUES FROM (1) TO ({end})")


def downgrade() -> None:
    oldest = op.get_bind().scalar(sa.text("SELECT position FROM base"))
    if oldest:
        message = f"the log is kept from position {oldest} on, and an older version needs all of it: restore a backup"
        raise RuntimeError(message)
    op.execute("CREATE TABLE segments.whole (LIKE events INCLUDING ALL)")
    op.execute("INSERT INTO segments.whole SELECT * FROM events")
    op.execute("DROP TABLE events")
    op.execute("ALTER TABLE segments.whole RENAME TO events")
    op.execute("ALTER TABLE segments.events RENAME CONSTRAINT whole_pkey TO events_pkey")
    op.execute("ALTER INDEX segments.whole_path_op_position_idx RENAME TO events_path_op_position")
    op.execute("ALTER TABLE segments.events SET SCHEMA public")
    op.execute("COMMENT ON TABLE events IS 'The log: append-only, positions dense from 1.'")
    op.execute("DROP SCHEMA segments CASCADE")
    op.drop_table("base_rows")
    op.drop_table("base")
