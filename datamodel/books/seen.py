"""What was seen lately, in bounded memory."""


class Seen:
    """Remembers at least the last `limit` words, and at most twice as many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: set[str] = set()
        self._old: set[str] = set()

    def add(self, word: str) -> bool:
        """Whether the word was seen before."""
        young = self._young
        if word in young or word in self._old:
            return True
        young.add(word)
        if len(young) >= self._limit:
            self._old, self._young = young, set()
        return False

    def __contains__(self, word: str) -> bool:
        return word in self._young or word in self._old
