"""What becomes of the nodes of a list: each change once, whatever happens to the connection on the way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.commands.client import Client, Gone
from gateway.commands.names import Listed
from gateway.commands.streams import Event, resumed

Document = dict[str, Any]
What = Literal["added", "modified", "deleted"]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a node, with its last state."""

    what: What
    node: Document


class Known:
    """What has been told of which node, and so what is new to whoever listens. After `begin` comes all that there is, up to
    the next bookmark; what was known and does not come is gone. Without it, nothing is known of what was there before."""

    def __init__(self) -> None:
        self._nodes: dict[str, Document] = {}
        self._deleted: dict[str, int] = {}
        self._listed: set[str] | None = None
        self._began = False

    def begin(self) -> None:
        self._listed = set()
        self._began = True

    def cut(self) -> None:
        """The connection was: a list that was not told to its end comes again."""
        if self._listed is not None:
            self.begin()

    def take(self, what: What, node: Document) -> Change | None:
        """The change that news of a node is, None for what is known."""
        path, version = node["metadata"]["path"], node["metadata"]["version"]
        before = self._nodes.get(path)
        if what == "deleted":
            known = self._nodes.pop(path, None) is not None
            again = self._began or self._deleted.get(path) == version
            self._deleted[path] = version
            return Change("deleted", node) if known or not again else None
        if self._listed is not None:
            self._listed.add(path)
        if before is not None and before["metadata"]["version"] >= version and _same(before, node):
            return None
        self._nodes[path] = node
        if before is not None:
            return Change("modified" if _same(before, node) else "added", node)
        return Change("added" if self._began else what, node)

    def bookmark(self) -> list[Change]:
        """What turned out to be gone."""
        if self._listed is None:
            return []
        gone = [path for path in self._nodes if path not in self._listed]
        self._listed = None
        return [Change("deleted", self._nodes.pop(path)) for path in gone]


def _same(before: Document, now: Document) -> bool:
    """Whether it is the same node, and not another one at its path."""
    return bool(before["metadata"]["uid"] == now["metadata"]["uid"])


def changes(client: Client, listed: Listed, parameters: Mapping[str, str]) -> Iterator[Change | None]:
    """What there is, as added, and then what changes, without an end. None comes with each bookmark: all is told up to here. An
    `asOf` begins with what has changed since, and what is told then may be news of nodes that were there before."""
    asked = {**parameters, "watch": "true", **({"under": listed.under} if listed.under else {})}
    known = Known()
    while True:
        heard = False
        if "asOf" not in asked:
            known.begin()
        try:
            for event in resumed(client, listed.address, asked):
                if event is None:
                    known.cut()
                    continue
                heard = True
                if event.name == "gone":
                    break
                yield from _told(known, event)
        except Gone:
            if not heard:
                raise
        # The log is another one, or what comes next is not kept any more: all that there is, again.
        asked.pop("asOf", None)


def _told(known: Known, event: Event) -> Iterator[Change | None]:
    match event.name:
        case "bookmark":
            yield from known.bookmark()
            yield None
        case "added" | "modified" | "deleted" as what:
            change = known.take(what, event.data)
            if change is not None:
                yield change
