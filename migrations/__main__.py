"""`python -m migrations`: upgrades the database of `TENDRIL_DATABASE_URL`."""

import asyncio
import os
import sys

from datamodel.errors import TendrilError
from migrations.upgrade import migrate


def main() -> int:
    url = os.environ.get("TENDRIL_DATABASE_URL", "")
    try:
        asyncio.run(migrate(url))
    except TendrilError as error:
        sys.stderr.write(f"migrations: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
