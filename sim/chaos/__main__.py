"""`make chaos` and `python -m sim.chaos`: harms a system of its own for a while and judges what it did."""

import os
import random
import shutil
import sys
from typing import Annotated

import cyclopts
import uvloop

from datamodel.errors import Invalid, TendrilError
from datamodel.program import configure_logging
from sim.chaos.entering import enter, is_inside, unavailable
from sim.chaos.faults.catalogue import catalogue
from sim.chaos.faults.fault import Fault
from sim.chaos.report import show, summed_up
from sim.chaos.run import Terms, chaos

app = cyclopts.App(
    name="chaos", help="Harm a running system while it works, and check that nothing is lost or counted twice."
)


@app.default
def run_chaos(
    *,
    minutes: Annotated[float, cyclopts.Parameter(help="How long; a round of faults that has begun is finished.")] = 5.0,
    seed: Annotated[int | None, cyclopts.Parameter(help="Of jobs, faults and their order; else a new one.")] = None,
    faults: Annotated[str, cyclopts.Parameter(help="Their names with commas between; else all.")] = "",
    edges: Annotated[int, cyclopts.Parameter(help="Edge agents beside the hub.")] = 4,
    hold_s: Annotated[float, cyclopts.Parameter(help="How long a line stays harmed, in seconds.")] = 30.0,
    crowd: Annotated[
        int, cyclopts.Parameter(help="Agents that are connected when the hub's programs are killed.")
    ] = 500,
) -> int:
    """Exits with 1 where anything was violated, and with 2 where the command is wrong.

    As root it runs in network and mount namespaces of its own, with sites that have lines to be cut. Elsewhere it says that it
    does without what is done to these; with TENDRIL_REQUIRE_NAMESPACES=1 it fails.
    """
    configure_logging()
    seed = random.randrange(2**32) if seed is None else seed  # noqa: S311 - it is told, so that it can be repeated
    try:
        wanted = _named(faults)
    except Invalid as error:
        sys.stderr.write(f"chaos: {error.message}\n")
        return 2
    if not is_inside() and any(_is_apart(fault) for fault in wanted):
        if (reason := unavailable()) is None:
            enter("sim.chaos", sys.argv[1:])
        left_out = [fault.name for fault in wanted if _is_apart(fault)]
        sys.stderr.write(f"chaos: no namespaces ({reason}), so without {', '.join(left_out)}\n")
        wanted = [fault for fault in wanted if not _is_apart(fault)]
        if not wanted or os.environ.get("TENDRIL_REQUIRE_NAMESPACES") == "1":
            return 1
    try:
        run = uvloop.run(chaos(wanted, Terms(minutes, seed, edges, hold_s, crowd)))
    except TendrilError as error:
        sys.stderr.write(f"chaos: {error.message}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    show(summed_up(run, seed))
    if run.violations:
        sys.stderr.write(f"chaos: violated; logs, history and ledger are in {run.directory}\n")
        return 1
    shutil.rmtree(run.directory)
    return 0


def _is_apart(fault: Fault) -> bool:
    return fault.needs_sites or fault.needs_crowd


def _named(names: str) -> list[Fault]:
    """The faults of these names. Raises `Invalid` for one that there is not."""
    known = catalogue()
    wanted = [name.strip() for name in names.split(",")] if names else list(known)
    if unknown := [name for name in wanted if name not in known]:
        raise Invalid(f"--faults: no {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(wanted)]


if __name__ == "__main__":
    sys.exit(app())
