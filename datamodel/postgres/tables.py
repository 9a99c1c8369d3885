"""The tables, as SQLAlchemy metadata: Alembic's migrations are checked against it.

Constraints repeat the rule book's invariants. There is no foreign key on the hot path: the log's lock already makes the
checks of the rule book exact, and a key check for every node costs more than the rest of its row.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from datamodel.postgres import rows

METADATA = sa.MetaData(
    naming_convention={"ix": "%(table_name)s_%(column_0_N_name)s", "ck": "%(table_name)s_%(constraint_name)s"}
)

_PATH = sa.Text(collation="C")  # byte order makes a subtree one range of the primary key

HEAD = sa.Table(
    "head",
    METADATA,
    sa.Column("one", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
    sa.CheckConstraint("one", name="single"),
    comment="The end of the log; locking its row is the log's lock. Fillfactor keeps its updates on one page.",
    postgresql_with={"fillfactor": 10},
)

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("op", sa.Text, nullable=False),
    sa.Column("path", _PATH, nullable=False),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("part", pg.JSON, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("correlation", sa.Text, nullable=False),
    sa.Column("schema", sa.Integer, nullable=False, server_default="1"),
    sa.CheckConstraint("position > 0", name="position_positive"),
    # What a node was at a position is the newest event of each kind before it: a step down this index for each.
    sa.Index(None, "path", "op", "position"),
    comment="The log: append-only, positions dense. Its segments are partitions, in the schema segments.",
    postgresql_partition_by="RANGE (position)",
)

BASE = sa.Table(
    "base",
    METADATA,
    sa.Column("one", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("one", name="single"),
    comment="Where the base is: the oldest position that can be read, and the time of its event.",
)

BASE_ROWS = sa.Table(
    "base_rows",
    METADATA,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("key", sa.Text(collation="C"), primary_key=True),
    sa.Column("content", pg.JSON, nullable=False),
    comment="What nodes, pools, ledger and totals were at the base, by table and key. They are read and written whole.",
)

NODES = sa.Table(
    "nodes",
    METADATA,
    sa.Column("path", _PATH, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("labels", pg.JSONB, nullable=False),
    sa.Column("spec", pg.JSON, nullable=False),
    sa.Column("status", pg.JSON, nullable=False),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("links", pg.JSONB, nullable=False),
    sa.Column("finalizers", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("created_version", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("deletion_requested_at", sa.DateTime(timezone=True)),
    sa.Column("owners", pg.JSON, nullable=False),
    sa.Column("schema", sa.Integer, nullable=False, server_default="1"),
    sa.Column("correlation", sa.Text, nullable=False, server_default=""),
    # An index on the version itself would make every change of a node a change of all its indexes. The era seldom changes,
    # and the nodes of one are few enough to be sorted.
    sa.Column("era", sa.BigInteger, sa.Computed(f"version >> {rows.ERA_BITS}", persisted=True)),
    sa.CheckConstraint("created_version > 0 AND version >= created_version", name="version_order"),
    sa.CheckConstraint("generation > 0", name="generation_positive"),
    sa.Index(None, "kind", "path"),
    sa.Index(None, "kind", "created_version"),
    sa.Index(None, "kind", "era"),
    sa.Index("nodes_deleting", "path", postgresql_where=sa.text("deletion_requested_at IS NOT NULL")),
    comment="The projection: each node's present. Parts are json, not jsonb: they are read and written whole.",
    postgresql_with={"fillfactor": 80},
)

LINKS = sa.Table(
    "links",
    METADATA,
    sa.Column("source", _PATH, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("target", sa.Text(collation="C"), primary_key=True),
    sa.Index(None, "target", "name", "source"),
    comment="The links of nodes, for the way back; target is a uid.",
)

FACETS = sa.Table(
    "facets",
    METADATA,
    sa.Column("path", _PATH, primary_key=True),
    sa.Column("facet", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Text(collation="C"), nullable=False),
    sa.Index(None, "kind", "facet", "value", "path"),
    comment="What nodes are found by: labels and declared fields. A page of those with one value is one walk of the index.",
)

POOLS = sa.Table(
    "pools",
    METADATA,
    sa.Column("path", _PATH, primary_key=True),
    sa.Column("capacity", pg.JSON, nullable=False),
    sa.Column("used", pg.JSON, nullable=False),
    comment="Bounded counters of what is reserved of a node's capacity.",
    postgresql_with={"fillfactor": 50},
)

LEDGER = sa.Table(
    "ledger",
    METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("holder", _PATH, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("outputs", pg.JSON),
    sa.CheckConstraint("epoch > 0 AND failures >= 0 AND failures <= epoch", name="epoch_bounds_failures"),
    sa.CheckConstraint("progress BETWEEN 0 AND 1000", name="progress_per_mille"),
    sa.Index(None, "owner", "phase", "index"),
    comment="What was counted for each numbered piece of an owner's work.",
    postgresql_with={"fillfactor": 80},
)

TOTALS = sa.Table(
    "totals",
    METADATA,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("phases", pg.JSON, nullable=False),
    sa.Column("progress", sa.BigInteger, nullable=False),
    comment="The sums over an owner's ledger.",
    postgresql_with={"fillfactor": 50},
)

LEASES = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    comment="Exclusive rights for a time; the token grows with every acquisition.",
    postgresql_with={"fillfactor": 50},
)

MARKS = sa.Table(
    "marks",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("through", sa.BigInteger, nullable=False),
    sa.CheckConstraint("through >= 0", name="through_positive"),
    comment="How far each numbered source has been taken in.",
    postgresql_with={"fillfactor": 50},
)

IDEMPOTENCY = sa.Table(
    "idempotency",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("outcome", pg.JSON, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Index(None, "at"),
    comment="What each idempotency key stands for.",
)

QUARANTINE = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    comment="Reports that could not be understood, kept for people to look at.",
)

KINDS = sa.Table(
    "kinds",
    METADATA,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.CheckConstraint("version > 0", name="version_positive"),
    comment="The kinds of the model that the database was migrated for, with a digest of what is declared of each.",
)

SECRETS = sa.Table(
    "secrets",
    METADATA,
    sa.Column("scope", _PATH, primary_key=True),
    sa.Column("uid", sa.Text, primary_key=True),
    sa.Column("name", _PATH, primary_key=True),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("keys", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    comment="Sealed values beside the graph. `uid` is the scope's: another node of its name has others.",
)
