"""`tendril sim` and `python -m sim`: the job requester."""

import asyncio
import sys
from contextlib import suppress
from typing import Annotated

import cyclopts
import httpx

from datamodel.errors import Invalid, TendrilError
from datamodel.program import read_settings
from sim.requester import Requester, Tally
from sim.settings import Settings

app = cyclopts.App(
    name="tendril sim", help="Ask for jobs with random work, and tell how fast they finish.", version_flags=[]
)


@app.default
def request(
    *,
    url: Annotated[str | None, cyclopts.Parameter(help="The gateway (TENDRIL_URL).")] = None,
    group: Annotated[str | None, cyclopts.Parameter(help="Job group (SIM_GROUP).")] = None,
    max_jobs: Annotated[int | None, cyclopts.Parameter(help="Jobs in all; 0: without end (MAXJOBS).")] = None,
    min_power: Annotated[float | None, cyclopts.Parameter(help="Least work in W·s (JOB_MINPOWER).")] = None,
    max_power: Annotated[float | None, cyclopts.Parameter(help="Most work in W·s (JOB_MAXPOWER).")] = None,
    pending: Annotated[int | None, cyclopts.Parameter(help="Jobs to keep waiting (JOB_PENDING).")] = None,
    max_active: Annotated[int | None, cyclopts.Parameter(help="Unfinished jobs at a time (MAX_ACTIVE_JOBS).")] = None,
    chunks: Annotated[int | None, cyclopts.Parameter(help="Chunks of each job (JOB_CHUNKS).")] = None,
    seed: Annotated[int | None, cyclopts.Parameter(help="Of the random work (SIM_SEED).")] = None,
) -> int:
    """Every flag has an environment variable; the flag wins."""
    flags = {name: value for name, value in locals().items() if value is not None}
    try:
        settings = read_settings(Settings, **flags)
        with suppress(KeyboardInterrupt):
            tally = asyncio.run(_run(settings))
            return 1 if tally.failed else 0
    except Invalid as error:
        sys.stderr.write(f"sim: {error.message}\n")
        return 2
    except TendrilError as error:
        sys.stderr.write(f"\nsim: {error.message}\n")
        return 1
    return 0


async def _run(settings: Settings) -> Tally:
    async with httpx.AsyncClient(base_url=settings.url, timeout=10, trust_env=False) as client:
        return await Requester(settings, client).run()


def main() -> None:
    sys.exit(app())


if __name__ == "__main__":
    main()
