"""The book of links: who is linked to whom, and that nothing goes from under those that hold on to it.

What is to be deleted together is told event by event, so what a deletion owes is judged once its transaction is over: when
an event of a later time comes, or the stored rows are looked at.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from datamodel.books.living import Living
from datamodel.kinds import Link
from datamodel.links import Links


class _Owed(NamedTuple):
    source: Living
    name: str
    target: Living


class LinkBook:
    """The sources of each living node, except those that do not mind that it goes."""

    def __init__(self) -> None:
        self._sources: dict[str, dict[tuple[str, str], Living]] = {}
        """By target uid; then by source uid and link name."""
        self._owed: list[_Owed] = []
        self._at = datetime(1970, 1, 1, tzinfo=UTC)

    def relink(self, source: Living, before: Links, after: Links) -> None:
        """A node's links are others than before."""
        for links, enter in ((before, False), (after, True)):
            for name, targets in links.items():
                link = source.declared.links.get(name)
                if link is None or link.gone == "keep":
                    continue
                for uid in targets:
                    sources = self._sources.setdefault(uid, {})
                    if enter:
                        sources[source.uid, name] = source
                    else:
                        sources.pop((source.uid, name), None)
                    if not sources:
                        del self._sources[uid]

    def holds(self, target: Living) -> bool:
        """Whether a node waits for one that is linked to it."""
        return any(link.gone != "unlink" for _, _, link in self._to(target))

    def request(self, target: Living) -> None:
        """A node is to go, and what is linked to it with it; else it may not be."""
        self._owed += [_Owed(s, name, target) for s, name, link in self._to(target) if link.gone != "unlink"]

    def remove(self, target: Living) -> None:
        """A node goes. What was linked to it has been unlinked, or goes too."""
        self._owed += [_Owed(source, name, target) for source, name, _ in self._to(target)]

    def settle(self, at: datetime) -> Iterator[str]:
        """A sentence for each deletion that was over before this time and did not take with it what it should have."""
        if at > self._at:
            yield from self.unsettled()
            self._at = at

    def unsettled(self) -> Iterator[str]:
        """The same, for all that is over."""
        for source, name, target in self._owed:
            if target.uid in source.links.get(name, ()) and not source.gone:
                if target.gone:
                    yield f"{target.path} is gone, and {source.path} is linked to it as its {name!r}"
                elif source.deletion_requested_at is None:
                    yield f"{target.path} is to go, and {source.path} stays linked to it as its {name!r}"
        self._owed.clear()

    def _to(self, target: Living) -> Iterator[tuple[Living, str, Link]]:
        for (_, name), source in self._sources.get(target.uid, {}).items():
            yield source, name, source.declared.links[name]
