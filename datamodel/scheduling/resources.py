"""What chunks ask for and edges have, in the units of people and in the integers of pools."""

import math
from typing import Annotated

from pydantic import Field, StringConstraints

from datamodel.kinds import Document, Part

CPU, MEMORY, POWER = "cpu", "memory", "power"
"""Pool resources: milli-cores, bytes, milliwatts."""

CPU_LIMIT = 4096
MEMORY_LIMIT_BYTES = 2**50
POWER_LIMIT_W = 1e9
"""The most that a chunk asks for or an edge has."""

_Cores = Annotated[float, Field(gt=0, le=CPU_LIMIT, allow_inf_nan=False, description="CPU cores")]
_Bytes = Annotated[int, Field(gt=0, le=MEMORY_LIMIT_BYTES, strict=True, description="memory in bytes")]
_Watts = Annotated[float, Field(gt=0, le=POWER_LIMIT_W, allow_inf_nan=False, description="power in watts")]


class Gpus(Part):
    """GPUs for each step, from the edge's engine. They are not counted against the edge's capacity."""

    count: Annotated[int, Field(ge=1, le=64, strict=True)] = 1
    driver: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$"),
        Field(description="whose they are, as the engine names its drivers"),
    ] = "nvidia"


class Requests(Part):
    """What one chunk reserves on its edge, and the limits of its containers."""

    cpu: _Cores = 0.1
    memory_bytes: _Bytes = 64 * 1024 * 1024
    power_w: _Watts = 1.0
    gpus: Gpus | None = None


class Capacity(Part):
    """What an edge has to give."""

    cpu: _Cores
    memory_bytes: _Bytes
    power_w: _Watts


def amounts(resources: Document) -> dict[str, int]:
    """The integers of a `Requests` or `Capacity` document. Rounded up, so that nothing is ever reserved short."""
    return {
        CPU: math.ceil(resources["cpu"] * 1000),
        MEMORY: resources["memoryBytes"],
        POWER: math.ceil(resources["powerW"] * 1000),
    }
