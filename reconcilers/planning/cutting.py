"""Which attempts on an edge that is cut off are replaced elsewhere, and when the next ones are."""

from collections.abc import Iterable
from typing import NamedTuple

from datamodel.node import Node
from datamodel.scheduling.attempts import RUN


class Overdue(NamedTuple):
    """Those that their jobs have waited for long enough, and in how many seconds the next is; None where none will be."""

    attempts: list[Node]
    next_s: float | None


def overdue(attempts: Iterable[Node], cut_s: float) -> Overdue:
    """Of attempts on an edge that has been cut off for so long. `cut_s` may be negative: it counts as cut off, and who judges
    it grants it more time."""
    found: list[Node] = []
    next_s: float | None = None
    for attempt in attempts:
        after_s = attempt.spec.get("replaceAfterS")
        if after_s is None or attempt.spec["intent"] != RUN:
            continue
        if cut_s >= after_s:
            found.append(attempt)
        else:
            next_s = min(after_s - cut_s, next_s if next_s is not None else after_s - cut_s)
    return Overdue(found, next_s)
