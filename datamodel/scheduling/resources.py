"""What chunks ask for and edges have, in the units of people and in the integers of pools."""

import math
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

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


GPUS_LIMIT = 64
COUNTABLES_LIMIT = 16

CountableName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$")]
Countables = Annotated[
    dict[CountableName, Annotated[int, Field(ge=1, le=2**31, strict=True)]],
    Field(min_length=1, max_length=COUNTABLES_LIMIT),
]
"""Of things that are counted and have names that the edges' operators give: licences, cameras."""


class Gpus(Part):
    """GPUs for each step, from the edge's engine: whole ones, of a type that edges say they have. Where none is named, it is
    called as the driver is."""

    count: Annotated[int, Field(ge=1, le=GPUS_LIMIT, strict=True)] = 1
    driver: Annotated[CountableName, Field(description="whose they are, as the engine names its drivers")] = "nvidia"
    type: Annotated[CountableName | None, Field(description="as the edges that have some name it")] = None

    @model_validator(mode="before")
    @classmethod
    def _has_a_type(cls, given: Any) -> Any:
        """Jobs of before GPUs were counted have none stored, and hold none."""
        if isinstance(given, dict) and given.get("type") is None:
            return {**given, "type": given.get("driver", "nvidia")}
        return given


class Requests(Part):
    """What one chunk reserves on its edge, and the limits of its containers."""

    cpu: _Cores = 0.1
    memory_bytes: _Bytes = 64 * 1024 * 1024
    power_w: _Watts = 1.0
    gpus: Gpus | None = None
    countables: Annotated[Countables | None, Field(description="other things that the edge has a number of")] = None


class Capacity(Part):
    """What an edge has to give."""

    cpu: _Cores
    memory_bytes: _Bytes
    power_w: Annotated[
        float, Field(ge=0, le=POWER_LIMIT_W, allow_inf_nan=False, description="power in watts, as there is now")
    ]
    gpus: Annotated[Countables | None, Field(description="how many, by type")] = None
    countables: Countables | None = None


class Quota(Part):
    """The most that something has of each; of what is not named, any amount."""

    cpu: _Cores | None = None
    memory_bytes: _Bytes | None = None
    power_w: _Watts | None = None
    gpus: Countables | None = None
    countables: Countables | None = None


def amounts(resources: Document) -> dict[str, int]:
    """The integers of a `Requests` or `Capacity` document. Rounded up, so that nothing is ever reserved short."""
    found = {
        CPU: math.ceil(resources["cpu"] * 1000),
        MEMORY: resources["memoryBytes"],
        POWER: milliwatts(resources["powerW"]),
    }
    if "gpus" in resources or "countables" in resources:
        found |= _counted(resources)
    return found


def milliwatts(power_w: float) -> int:
    """Power in the unit of pools, rounded up as all of it is."""
    return math.ceil(power_w * 1000)


def quota_of(quota: Document) -> dict[str, int]:
    """The integers of a `Quota` document."""
    found = {} if not quota else _counted(quota)
    for name, field, unit in ((CPU, "cpu", 1000), (MEMORY, "memoryBytes", 1), (POWER, "powerW", 1000)):
        if quota.get(field) is not None:
            found[name] = math.ceil(quota[field] * unit)
    return found


def measure(resource: str, amount: int) -> str:
    """An amount of a pool's resource as people say it."""
    match resource.partition("/"):
        case ("cpu", _, _):
            return f"{amount / 1000:g} cores"
        case ("memory", _, _):
            return f"{amount} bytes of memory"
        case ("power", _, _):
            return f"{amount / 1000:g} watts"
        case ("gpu", _, kind):
            return f"{amount} {kind} GPUs"
    return f"{amount} of {resource.partition('/')[2]}"


def too_little(resource: str) -> str:
    """What is to be said where there is less of a pool's resource than is asked for."""
    return f"too {'few' if '/' in resource else 'little'} {short_name(resource)}"


def short_name(resource: str) -> str:
    """A pool's resource as people call it."""
    kind, _, name = resource.partition("/")
    return f"{name} GPUs" if kind == "gpu" else name or kind


def _counted(resources: Document) -> dict[str, int]:
    """GPUs by type and countables by name. What chunks ask for says the type beside the count."""
    found = {f"count/{name}": count for name, count in (resources.get("countables") or {}).items()}
    gpus = resources.get("gpus") or {}
    if isinstance(gpus.get("driver"), str):
        if "type" in gpus:
            found[f"gpu/{gpus['type']}"] = gpus["count"]
    else:
        found |= {f"gpu/{kind}": count for kind, count in gpus.items()}
    return found
