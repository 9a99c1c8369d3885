"""What the steps of some edges write, and what must become of it at the hub: a log is what was written, in order and once, with
what is missing marked, and nothing is cleared away that a whole log would need."""

from collections.abc import Callable
from zlib import crc32

from agents.runtimes.protocol import LogPage, Observed
from datamodel.scheduling.logs import STREAMS, Dropped, Part, Record, decode
from datamodel.transcripts.memory import MemoryTranscripts
from datamodel.transcripts.ports import Entry
from sim.world.line import Line

LINES = (0, 1, 3, 40)
"""How many a step writes at its start, by its name, and one more at its end."""
PAGE_PARTS = 16


class Logbook:
    """Of a world. Transcripts are known by their keys, whose last word is the attempt's name."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self.whole = 0
        """Logs that were at the hub when their attempts were cleared away."""
        self._hub = MemoryTranscripts()
        self._written: dict[str, list[list[Part]]] = {}
        self._begun_anew: set[str] = set()
        """Attempts that ran twice, on a disk that was lost or for a database that was put back: nobody can tell two logs apart
        that have one name."""
        self._wiped = False

    def wipe(self) -> None:
        """The hub has lost all logs."""
        self._hub.wipe()
        self._wiped = True

    def started(self, attempt: str, step: int) -> None:
        """A step begins, and writes."""
        steps = self._written.setdefault(attempt, [])
        if step < len(steps):
            self._begun_anew.add(attempt)
            return
        lot = crc32(f"{attempt}/{step}".encode())
        lines = LINES[lot % len(LINES)]
        steps.append([_line(step, number, lot) for number in range(lines)])

    def ended(self, attempt: str, step: int) -> None:
        """A step ends, and has written something more."""
        steps = self._written.get(attempt, [])
        if step < len(steps):
            steps[step].append(_line(step, len(steps[step]), 0))

    def page(self, attempt: str, step: int, after: str) -> LogPage:
        """What a runtime tells of it."""
        steps = self._written.get(attempt, [])
        parts = steps[step] if step < len(steps) else []
        begin = int(after or 0)
        some = tuple(parts[begin : begin + PAGE_PARTS])
        cursors = tuple(str(begin + number) for number in range(1, len(some) + 1))
        return LogPage(after, some, cursors, more=begin + len(some) < len(parts))

    def append(self, key: str, after: int, body: bytes) -> int:
        """A frame reaches the hub. Raises `Conflict`."""
        sequence = self._hub.put(key, after, body)
        attempt = key.rpartition(".")[2]
        if attempt not in self._begun_anew:
            told, steps = _parts(self._hub.entries(key)), self._written.get(attempt, [])
            wanted = iter([part for step in steps for part in step])
            for part in told:
                if isinstance(part, Record) and not any(part == one for one in wanted):
                    self._complain(f"the log of {attempt} tells what was not written, or in another order: {part}")
                    break
        return sequence

    def last(self, key: str) -> Entry | None:
        return next(reversed(self._hub.entries(key)), None)

    def cleared(self, key: str, observed: Observed) -> None:
        """An attempt is cleared away by an agent that could have told all of it."""
        attempt = key.rpartition(".")[2]
        if not self._written.get(attempt) or attempt in self._begun_anew or self._wiped:
            return
        wanted: list[Part] = []
        for index, (step, parts) in enumerate(zip(observed.steps, self._written.get(attempt, []), strict=False)):
            wanted += parts
            if step.phase == "vanished":
                wanted.append(Dropped(index, None))
        frames = self._hub.entries(key)
        if not frames or _parts(frames) != wanted or not decode(frames[-1].body).last:
            self._complain(f"{attempt} is cleared away, and its log is not whole at the hub")
        else:
            self.whole += 1


class LineTranscripts:
    """The shipper's port on a line."""

    def __init__(self, line: Line, logbook: Logbook) -> None:
        self._line, self._logbook = line, logbook

    async def append(self, key: str, after: int, body: bytes) -> int:
        sequence: int = await self._line.request(lambda: self._logbook.append(key, after, body))
        return sequence

    async def last(self, key: str) -> Entry | None:
        found: Entry | None = await self._line.request(lambda: self._logbook.last(key))
        return found


def _parts(entries: list[Entry]) -> list[Part]:
    return [part for entry in entries for part in decode(entry.body).records]


def _line(step: int, number: int, lot: int) -> Record:
    return Record(step, STREAMS[(lot >> number % 16) % 2], number, b"step %d line %d\n" % (step, number))
