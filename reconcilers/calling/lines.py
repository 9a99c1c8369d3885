"""How many calls a host has at a time: a slow one must not have all workers wait for it."""

from collections import Counter
from collections.abc import Callable


class Lines:
    """So many lines to each host. A key that finds none free is woken when one is, in order of arrival; a host that is asked
    for nothing is not remembered."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._taken = Counter[str]()
        self._waiting: dict[str, dict[str, None]] = {}
        self.wake: Callable[[str], object] = lambda _: None

    def take(self, host: str, key: str) -> bool:
        """Whether there is a line, which is the caller's until it gives it back. Otherwise the key waits for one."""
        if self._taken[host] >= self._each:
            self._waiting.setdefault(host, {})[key] = None
            return False
        self._taken[host] += 1
        return True

    def give_back(self, host: str) -> None:
        self._taken[host] -= 1
        if not self._taken[host]:
            del self._taken[host]
        keys = self._waiting.get(host)
        if keys:
            key = next(iter(keys))
            del keys[key]
            if not keys:
                del self._waiting[host]
            self.wake(key)
