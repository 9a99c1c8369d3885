"""How long to wait before something that failed is tried again."""

import random

_DOUBLINGS_LIMIT = 16


class Backoff:
    """Waits for each key from `least_s` on, twice as long after every further failure in a row, at most `most_s`; spread, so
    that those who failed together do not come back together. It remembers the keys that failed last."""

    def __init__(self, least_s: float, most_s: float) -> None:
        self._least_s, self._most_s = least_s, most_s
        self.failures: dict[str, int] = {}
        """How often in a row, by key."""

    def failed(self, key: str) -> float:
        """The seconds to wait now."""
        failures = self.failures[key] = self.failures.get(key, 0) + 1
        delay_s = self._least_s * float(1 << min(failures - 1, _DOUBLINGS_LIMIT))
        return min(delay_s, self._most_s) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries

    def over(self, key: str) -> None:
        """It has succeeded, or is nobody's concern any more."""
        self.failures.pop(key, None)
