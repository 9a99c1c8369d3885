"""The book of reservations: what each pool has, who holds how much of it, and that nothing is given twice."""

from collections.abc import Iterable, Iterator, Mapping

from datamodel.books.difference import difference
from datamodel.kinds import Amounts
from datamodel.rows import Rows


class ReservationBook:
    """Pools by path, and what the living hold: from their creation until their phase has ended, or they are removed."""

    def __init__(self) -> None:
        self._capacity: dict[str, dict[str, int]] = {}
        self._used: dict[str, dict[str, int]] = {}
        self._holders: dict[str, tuple[str, dict[str, int]]] = {}

    def offer(self, pool: str, capacity: Amounts) -> None:
        """What a pool has from now on; what is in use may be more."""
        self._capacity[pool] = dict(capacity)

    def withdraw(self, pool: str, found: list[str]) -> None:
        """The pool goes."""
        if self._used.get(pool):
            found.append(f"{self._used[pool]} of it are still in use")
        self._capacity.pop(pool, None)

    def reserve(self, holder: str, pool: str, amounts: Amounts, found: list[str]) -> None:
        """Nothing is admitted above the capacity known now."""
        used, capacity = self._used.setdefault(pool, {}), self._capacity.get(pool, {})
        for resource, amount in amounts.items():
            taken = used.get(resource, 0) + amount
            if taken > capacity.get(resource, 0):
                found.append(f"{taken} {resource} of {pool} would be in use, and it has {capacity.get(resource, 0)}")
        self.carry(holder, pool, amounts)

    def carry(self, holder: str, pool: str, amounts: Amounts) -> None:
        """Takes a reservation over as it is: its admission is not of interest."""
        used = self._used.setdefault(pool, {})
        for resource, amount in amounts.items():
            used[resource] = used.get(resource, 0) + amount
        self._holders[holder] = (pool, dict(amounts))

    def check_unchanged(self, holder: str, amounts: Amounts, found: list[str]) -> None:
        held = self._holders.get(holder)
        if held is not None and held[1] != amounts:
            found.append(f"it holds {held[1]}, and now asks for {dict(amounts)}")

    def release(self, holder: str) -> bool:
        """Gives back what the holder has; whether it had anything."""
        pool, amounts = self._holders.pop(holder, ("", {}))
        if not pool:
            return False
        used = self._used[pool]
        for resource, amount in amounts.items():
            left = used[resource] - amount
            if left:
                used[resource] = left
            else:
                del used[resource]
        if not used:
            del self._used[pool]
        return True

    def used(self, pool: str) -> Mapping[str, int]:
        """What is in use of a pool, by resource."""
        return self._used.get(pool, {})

    def compare(self, stored: Rows, pools: Iterable[str]) -> Iterator[str]:
        """A sentence for each of these pools' rows that is not what follows from the log."""
        for path in pools:
            row = stored.pools.get(path)
            capacity, used = self._capacity.get(path, {}), self._used.get(path, {})
            if row is None and not capacity and not used:
                continue
            if row is None:
                yield f"pool {path}: follows from the log, and is not stored"
                continue
            in_use = {resource: amount for resource, amount in row.used.items() if amount}
            for name, mine, theirs in (("capacity", capacity, dict(row.capacity)), ("used", used, in_use)):
                if wrong := difference(f"pool {path}, {name}", theirs, mine):
                    yield wrong

    @property
    def pools(self) -> set[str]:
        """The pools that have anything, or of which anything is in use."""
        return {path for path, capacity in self._capacity.items() if capacity} | self._used.keys()
