"""The log, the projection and the ledger"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
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
        sa.CheckConstraint("position > 0", name=op.f("events_position_positive")),
        sa.PrimaryKeyConstraint("position"),
        comment="The log: append-only, positions dense from 1.",
    )
    op.create_table(
        "head",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("one", name=op.f("head_single")),
        sa.PrimaryKeyConstraint("one"),
        comment="The end of the log; locking its row is the log's lock. Fillfactor keeps its updates on one page.",
        postgresql_with={"fillfactor": 10},
    )
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("outcome", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        comment="What each idempotency key stands for.",
    )
    op.create_index(op.f("idempotency_at"), "idempotency", ["at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="Exclusive rights for a time; the token grows with every acquisition.",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "ledger",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(collation="C"), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("outputs", pg.JSON(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "epoch > 0 AND failures >= 0 AND failures <= epoch", name=op.f("ledger_epoch_bounds_failures")
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 1000", name=op.f("ledger_progress_per_mille")),
        sa.PrimaryKeyConstraint("owner", "index"),
        comment="What was counted for each numbered piece of an owner's work.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(op.f("ledger_owner_phase_index"), "ledger", ["owner", "phase", "index"], unique=False)
    op.create_table(
        "links",
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "name"),
        comment="The links of nodes, for the way back; target is a uid.",
    )
    op.create_index(op.f("links_target_name_source"), "links", ["target", "name", "source"], unique=False)
    op.create_table(
        "marks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("through >= 0", name=op.f("marks_through_positive")),
        sa.PrimaryKeyConstraint("name"),
        comment="How far each numbered source has been taken in.",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "nodes",
        sa.Column("path", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("labels", pg.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("spec", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("status", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("links", pg.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("finalizers", pg.ARRAY(sa.Text()), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deletion_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("created_version > 0 AND version >= created_version", name=op.f("nodes_version_order")),
        sa.CheckConstraint("generation > 0", name=op.f("nodes_generation_positive")),
        sa.PrimaryKeyConstraint("path"),
        sa.UniqueConstraint("uid"),
        comment="The projection: each node's present. Parts are json, not jsonb: they are read and written whole.",
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(op.f("nodes_kind_path"), "nodes", ["kind", "path"], unique=False)
    op.create_table(
        "pools",
        sa.Column("path", sa.Text(collation="C"), nullable=False),
        sa.Column("capacity", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("used", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("path"),
        comment="Bounded counters of what is reserved of a node's capacity.",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="Reports that could not be understood, kept for people to look at.",
    )
    op.create_table(
        "totals",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("phases", pg.JSON(astext_type=sa.Text()), nullable=False),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner"),
        comment="The sums over an owner's ledger.",
        postgresql_with={"fillfactor": 50},
    )
    op.execute("INSERT INTO head (position, at) VALUES (0, 'epoch')")


def downgrade() -> None:
    op.drop_table("totals")
    op.drop_table("quarantine")
    op.drop_table("pools")
    op.drop_index(op.f("nodes_kind_path"), table_name="nodes")
    op.drop_table("nodes")
    op.drop_table("marks")
    op.drop_index(op.f("links_target_name_source"), table_name="links")
    op.drop_table("links")
    op.drop_index(op.f("ledger_owner_phase_index"), table_name="ledger")
    op.drop_table("ledger")
    op.drop_table("leases")
    op.drop_index(op.f("idempotency_at"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_table("head")
    op.drop_table("events")
