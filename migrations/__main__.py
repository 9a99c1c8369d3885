"""`python -m migrations`: upgrades the database of `TENDRIL_DATABASE_URL` for the model of `TENDRIL_MODEL`."""

import asyncio
import os
import sys

from datamodel.errors import TendrilError
from datamodel.loading import load_model
from migrations.upgrade import migrate


def main() -> int:
    url = os.environ.get("TENDRIL_DATABASE_URL", "")
    try:
        asyncio.run(migrate(url, load_model()))
    except TendrilError as error:
        sys.stderr.write(f"migrations: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
