"""What a cluster has to give."""

from decimal import Decimal
from typing import Any

import pytest

from agents.runtimes.kubernetes.capacity import Capacity, capacity_of, quantity


def node(*, ready: str = "True", spec: dict[str, Any] | None = None, **allocatable: str) -> dict[str, Any]:
    return {
        "spec": spec or {},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "allocatable": allocatable},
    }


def test_nodes_that_take_pods_count_with_what_is_allocatable() -> None:
    nodes = [
        node(cpu="3920m", memory="16Gi"),
        node(cpu="2", memory="1024Ki"),
        node(cpu="64", memory="1Ti", ready="Unknown"),
        node(cpu="64", memory="1Ti", spec={"unschedulable": True}),
        node(cpu="64", memory="1Ti", spec={"taints": [{"key": "control-plane", "effect": "NoSchedule"}]}),
        node(cpu="1", spec={"taints": [{"key": "busy", "effect": "PreferNoSchedule"}]}),
    ]
    assert capacity_of(nodes) == Capacity(6.92, 16 * 2**30 + 2**20)
    assert capacity_of([]) == Capacity(0.0, 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("100m", Decimal("0.1")),
        ("1.5Gi", 3 * 2**29),
        ("12e6", 12_000_000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("64k", 64_000),
        ("0", 0),
    ],
)
def test_a_quantity_is_read_as_kubernetes_does(text: str, value: Decimal) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "Gi", "1Zi", "one", "1iG"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)
