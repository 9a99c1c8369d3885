"""Guards of a transaction: what fails it where the present is not what its writer believes"""

from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION require(held boolean) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            IF held IS NOT TRUE THEN
                RAISE EXCEPTION 'a guard of the transaction does not hold' USING ERRCODE = 'TD001';
            END IF;
        END
        $$
        """
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION require(boolean)")
