"""`tendril agents scale`: more or fewer agents of a system that is up on this machine."""

import asyncio
import sys
import time
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from datamodel.errors import Invalid, TendrilError, Transient
from datamodel.names import check_name
from datamodel.program import read_settings
from deploy.local.fleets import COUNT_LIMIT, GRACE_LIMIT_S, GROUP_LIMIT, Fleet, Standing, is_up, told, want
from deploy.local.nats import SITE
from deploy.local.settings import Settings

LOOK_S = 0.1

app = App(name="tendril agents", help="More or fewer agents of a system that is up.", version_flags=[])


@app.command
def scale(
    *,
    site: Annotated[str, Parameter(help="The site. It need not be there yet.")],
    count: Annotated[int, Parameter(help="How many agents it is to have.", validator=Number(gte=0, lte=COUNT_LIMIT))],
    runtime: Annotated[
        Literal["auto", "docker", "kubernetes", "process", "simulated"],
        Parameter(help="What their edges run steps with."),
    ] = "simulated",
    group_size: Annotated[int, Parameter(help="Edges of each agent.", validator=Number(gte=1, lte=GROUP_LIMIT))] = 1,
    grace_s: Annotated[
        int,
        Parameter(
            help="Seconds that what runs on those that go may go on before it is moved elsewhere.",
            validator=Number(gte=0, lte=GRACE_LIMIT_S),
        ),
    ] = 0,
    timeout_s: Annotated[float, Parameter(help="For how long to wait until it is so; 0: do not wait.")] = 300.0,
) -> int:
    """Start agents, or drain and end those with the highest numbers, until a site has so many.

    They are children of `tendril up`, which goes on with them when it is started again. What runs on those that go is moved
    elsewhere, or waited for. Exits with 1 where it is not so in time; `up` goes on with it.
    """
    try:
        return asyncio.run(_scale(site, Fleet(count, runtime, group_size, grace_s), timeout_s))
    except TendrilError as error:
        sys.stderr.write(f"tendril agents: {error.message}\n")
        return 1


async def _scale(site: str, fleet: Fleet, timeout_s: float) -> int:
    check_name(site, "--site")
    home = read_settings(Settings).home.absolute()
    if site == SITE:
        raise Invalid(f"the agents of {SITE} are those of `tendril up` itself, by TENDRIL_EDGES: name another site")
    want(home, site, fleet)
    deadline_s, before = time.monotonic() + timeout_s, ""
    while time.monotonic() < deadline_s:
        standing = told(home).get(site)
        if standing is not None and standing.wanted.count == fleet.count:
            before = _say(site, standing, before)
            if standing.is_reached:
                return 0
        if not is_up(home):
            raise Transient(f"`tendril up` has ended meanwhile; {site} is scaled when it is started again")
        await asyncio.sleep(LOOK_S)
    return 0 if not timeout_s else _late(site)


def _say(site: str, standing: Standing, before: str) -> str:
    going = f", {standing.leaving} about to go" if standing.leaving else ""
    line = f"{site}: {standing.online} of {standing.wanted.count} agents online{going}\n"
    if line != before:
        sys.stdout.write(line)
        sys.stdout.flush()
    return line


def _late(site: str) -> int:
    sys.stderr.write(f"tendril agents: {site} is not as it is wanted yet; `tendril up` goes on with it\n")
    return 1


if __name__ == "__main__":
    sys.exit(app())
