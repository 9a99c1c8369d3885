"""Pools: bounded counters of what is in use of a node's capacity."""

from collections.abc import Mapping

import msgspec


class Pool(msgspec.Struct, frozen=True, gc=False):
    """What a node offers and what is reserved of it, integers by resource. `used` may exceed a capacity that shrank."""

    capacity: Mapping[str, int] = {}
    used: Mapping[str, int] = {}

    @property
    def free(self) -> dict[str, int]:
        """What is left of each resource; below zero where the capacity shrank."""
        return {name: amount - self.used.get(name, 0) for name, amount in self.capacity.items()}

    def lacking(self, amounts: Mapping[str, int]) -> str | None:
        """The first resource (by name) of which `amounts` does not fit, or None where all of them do."""
        for resource in sorted(amounts):
            if amounts[resource] > self.capacity.get(resource, 0) - self.used.get(resource, 0):
                return resource
        return None

    def reserved(self, amounts: Mapping[str, int]) -> "Pool":
        used = dict(self.used)
        for resource, amount in amounts.items():
            used[resource] = used.get(resource, 0) + amount
        return Pool(capacity=self.capacity, used=used)

    def released(self, amounts: Mapping[str, int]) -> "Pool":
        used = dict(self.used)
        for resource, amount in amounts.items():
            used[resource] = used.get(resource, 0) - amount
        return Pool(capacity=self.capacity, used={name: amount for name, amount in used.items() if amount})
