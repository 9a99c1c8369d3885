"""What a cluster has to give, by its nodes. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

_SUFFIXES = {
    "": 1,
    "m": Decimal("0.001"),
    **{suffix: 1000**power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": 1024**power for power, suffix in enumerate("KMGTPE", 1)},
}


class Capacity(NamedTuple):
    """Cores, and bytes of memory."""

    cpu: float
    memory_bytes: int


def capacity_of(nodes: Iterable[Mapping[str, Any]]) -> Capacity:
    """The allocatable amounts of all nodes that are ready and take pods, together."""
    allocatable = [node["status"].get("allocatable", {}) for node in nodes if _takes_pods(node)]
    cpu = sum((quantity(one.get("cpu", "0")) for one in allocatable), Decimal(0))
    memory = sum((quantity(one.get("memory", "0")) for one in allocatable), Decimal(0))
    return Capacity(float(cpu), int(memory))


def quantity(text: str) -> Decimal:
    """A quantity as Kubernetes writes it: `1500m`, `16Gi`, `2`, `1e3`. Raises `ValueError` for anything else."""
    digits = text.rstrip("kKMGTPEim") if not _is_exponential(text) else text
    try:
        return Decimal(digits) * Decimal(_SUFFIXES[text[len(digits) :]])
    except (InvalidOperation, KeyError) as error:
        raise ValueError(f"{text!r} is no quantity") from error


def _takes_pods(node: Mapping[str, Any]) -> bool:
    spec, conditions = node["spec"], node["status"].get("conditions", ())
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    barred = spec.get("unschedulable") or any(
        taint["effect"] in {"NoSchedule", "NoExecute"} for taint in spec.get("taints", ())
    )
    return ready and not barred


def _is_exponential(text: str) -> bool:
    mantissa, letter, exponent = text.replace("E", "e").partition("e")
    return bool(letter and mantissa) and exponent.lstrip("+-").isdecimal()
