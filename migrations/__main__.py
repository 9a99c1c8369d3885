"""`python -m migrations`: upgrades the database of `TENDRIL_DATABASE_URL` for the model of `TENDRIL_MODEL`."""

import asyncio
import sys

from datamodel.errors import TendrilError
from datamodel.loading import load_model
from datamodel.program import database_url
from migrations.upgrade import migrate


def main() -> int:
    try:
        asyncio.run(migrate(database_url(), load_model()))
    except TendrilError as error:
        sys.stderr.write(f"migrations: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
