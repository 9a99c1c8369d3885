"""`tendril verify`: is the projection of `TENDRIL_DATABASE_URL` the fold of its log? Exits with 1 where it is not."""

import asyncio
import os
import sys

from datamodel.errors import TendrilError
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.verify import Report, verify


def main() -> int:
    try:
        report = asyncio.run(_verify(os.environ.get("TENDRIL_DATABASE_URL", "")))
    except TendrilError as error:
        sys.stderr.write(f"verify: {error.message}\n")
        return 2
    sys.stdout.write(f"{report}\n")
    return 0 if report.clean else 1


async def _verify(database_url: str) -> Report:
    async with PostgresStore(database_url, MODEL) as store:
        return await verify(store)


if __name__ == "__main__":
    sys.exit(main())
