"""The sum over all owners' totals, kept as a row of its own"""

from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute(
        """
        INSERT INTO totals (owner, phases, progress)
        SELECT '', json_object_agg(phase, entries), (SELECT sum(progress) FROM totals)
        FROM (SELECT key AS phase, sum(value::bigint) AS entries FROM totals, json_each_text(phases) GROUP BY key) AS sums
        HAVING count(*) > 0
        """
    )


def downgrade() -> None:
    op.execute("DELETE FROM totals WHERE owner = ''")
