"""The edges that a trace is replayed on, as a user says them in a line."""

import re
from collections.abc import Sequence

from datamodel.errors import Invalid
from datamodel.scheduling.resources import CPU_LIMIT, amounts
from reconcilers.planning.views import Edge
from sim.traces.workload import WATTS

FLEET = "16x8:16,8x16:64,4x32:256"
"""384 processors, a third of them on edges of each size, with 2, 4 and 8 GiB for each."""
EDGES_LIMIT = 100_000
GIB = 2**30

_PART = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,3}):([1-9][0-9]{0,5})")


def edges_of(text: str) -> list[Edge]:
    """The edges of `COUNTxCORES:GIB,…`: so many with so many cores and so much memory, and with the power that its cores take.
    Each part is a site. Raises `Invalid`."""
    found: list[Edge] = []
    for site, part in enumerate(text.split(",")):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise Invalid(f"{part.strip()!r} is not COUNTxCORES:GIB, as in {FLEET.split(',', maxsplit=1)[0]}")
        count, cores, gib = (int(number) for number in match.groups())
        if cores > CPU_LIMIT:
            raise Invalid(f"{part.strip()!r}: an edge has at most {CPU_LIMIT} cores")
        if len(found) + count > EDGES_LIMIT:
            raise Invalid(f"there are at most {EDGES_LIMIT} edges")
        has = amounts({"cpu": cores, "memoryBytes": gib * GIB, "powerW": WATTS * cores})
        found += [_edge(f"s{site}", f"e{len(found) + number:05}", has) for number in range(count)]
    return found


def capacity_of(edges: Sequence[Edge]) -> dict[str, int]:
    """Of all together."""
    total: dict[str, int] = {}
    for edge in edges:
        for name, amount in edge.capacity.items():
            total[name] = total.get(name, 0) + amount
    return total


def _edge(site: str, name: str, has: dict[str, int]) -> Edge:
    labels = {"tendril/site": site, "tendril/edge": name, "tendril/runtime": "simulated"}
    return Edge(f"/desired-config/sites/{site}/edges/{name}", site, labels, has)
