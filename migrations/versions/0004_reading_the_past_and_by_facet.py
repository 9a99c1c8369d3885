"""Reading the past"""

from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.create_index(op.f("events_path_op_position"), "events", ["path", "op", "position"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("events_path_op_position"), table_name="events")
