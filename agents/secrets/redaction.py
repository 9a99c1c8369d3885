"""Taking patterns out of bytes that come in pieces. Pure; it needs the standard library alone, since shims import it."""

from bisect import bisect_right
from collections.abc import Iterable

MASK = b"***"
FEW = 64
Span = tuple[int, int]


class Needles:
    """Patterns, prepared to be looked for. A few are sought one after the other; of many, the first bytes are looked up at
    every place, which takes as long for thousands of them."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._sorted = sorted({pattern for pattern in patterns if pattern})
        self.longest = max(map(len, self._sorted), default=0)
        self._size = min(map(len, self._sorted), default=0)
        self._by_head: dict[bytes, list[bytes]] = {}
        if len(self._sorted) > FEW:
            for pattern in self._sorted:
                self._by_head.setdefault(pattern[: self._size], []).append(pattern)

    def spans(self, text: bytes) -> list[Span]:
        """Where patterns stand, with those that touch or overlap as one, in order."""
        return _joined(self._looked_up(text) if self._by_head else self._sought(text))

    def begun(self, text: bytes) -> int:
        """The size of the longest end of the text that is the beginning of a pattern, and not all of it: what comes next may
        complete it."""
        for at in range(max(0, len(text) - self.longest + 1), len(text)):
            if self._by_head and len(text) - at >= self._size and text[at : at + self._size] not in self._by_head:
                continue
            end = text[at:]
            place = bisect_right(self._sorted, end)  # the first that is behind it, and longer if it begins so
            if place < len(self._sorted) and self._sorted[place].startswith(end):
                return len(end)
        return 0

    def _sought(self, text: bytes) -> list[Span]:
        found: list[Span] = []
        for pattern in self._sorted:
            at = text.find(pattern)
            while at >= 0:
                found.append((at, at + len(pattern)))
                at = text.find(pattern, at + 1)
        return found

    def _looked_up(self, text: bytes) -> list[Span]:
        size, by_head = self._size, self._by_head
        return [
            (at, at + len(pattern))
            for at in range(len(text) - size + 1)
            if (head := text[at : at + size]) in by_head
            for pattern in by_head[head]
            if text.startswith(pattern, at)
        ]


def masked(text: bytes, needles: Needles) -> bytes:
    redactor = Redactor(needles)
    return redactor.feed(text) + redactor.close()


class Redactor:
    """One stream. What it gives out is what was fed, with a mask in the place of every pattern, wherever it was cut; it is
    behind by less than the longest of them."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._held = b""
        self._covered = 0
        """How many of the held bytes belong to what a mask already stands for."""
        self._masking = False
        """What was given last is a mask: what touches it has none of its own."""

    def feed(self, data: bytes) -> bytes:
        text = self._held + data
        return self._give(text, len(text) - self._needles.begun(text))

    def close(self) -> bytes:
        """The rest."""
        return self._give(self._held, len(self._held))

    def _give(self, text: bytes, end: int) -> bytes:
        if not end:
            self._held = text
            return b""
        given: list[bytes] = []
        at = 0
        for first, last in _joined([(0, self._covered), *self._needles.spans(text)]):
            if first >= end:
                break
            given.append(text[at:first])
            if last > first and (first or not self._masking):
                given.append(MASK)
            at = last
        given.append(text[at:end])
        self._held, self._covered, self._masking = text[end:], max(0, at - end), at >= end
        return b"".join(given)


def _joined(found: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for first, last in sorted(found):
        if joined and first <= joined[-1][1] and joined[-1][1] > joined[-1][0]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
