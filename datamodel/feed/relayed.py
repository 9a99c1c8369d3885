"""What was relayed last of a node, compared with what the log says of it."""

from collections.abc import Collection
from itertools import islice

import msgspec
import nats.js.errors

from datamodel.audit import Audit
from datamodel.books.difference import difference
from datamodel.errors import Transient
from datamodel.feed.bus import NATS_FAILURES, Bus
from datamodel.feed.message import decode
from datamodel.feed.ports import Stream
from datamodel.feed.stream import graph_subject, newest_stream, stream_name
from datamodel.ports import Message

SAMPLE = 200
"""The most nodes that wait to be compared; each is a request to the server. Of more that changed, any are taken."""


class Relayed:
    """Compares a sample of the nodes that changed, each once the relay has passed the position of its last change."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._due: dict[str, int] = {}
        self._doubted: dict[str, int] = {}
        self.behind = 0
        """How many positions the relay was behind the audit, when asked last."""
        self.compared = 0
        """How many nodes were compared so far."""

    def forget(self) -> None:
        """The log is another one."""
        self._due.clear()
        self._doubted.clear()

    async def compare(self, audit: Audit, changed: Collection[str]) -> list[str]:
        """A sentence for each node whose newest message is not its newest state. Raises `Transient`."""
        new = islice((path for path in changed if path not in self._due), SAMPLE - len(self._due))
        self._due |= dict.fromkeys([*new, *(self._due.keys() & set(changed))], audit.head.position)
        stream = await newest_stream(self._bus)
        self.behind = audit.head.position - (stream.last if stream is not None and stream.complete else 0)
        if stream is None or not stream.complete:
            return []
        found: list[str] = []
        passed = [path for path in sorted(self._due) if self._position(audit, path) <= stream.last]
        for path in passed.copy():
            message = await self._newest(stream, path)
            if self._is_doubtful(audit, path, message):
                passed.remove(path)
            else:
                found += _differences(audit, path, message)
        now = await newest_stream(self._bus)
        if now is None or now.epoch != stream.epoch:
            return []  # the stream was replaced meanwhile: the next one will do
        for path in passed:
            del self._due[path]
        self.compared += len(passed)
        return found

    def _position(self, audit: Audit, path: str) -> int:
        """What the relay must have passed: the last change of a living node; of one that is gone that is not known any more,
        and the audit was behind it when it was named."""
        node = audit.node(path)
        return node.version if node is not None else self._due[path]

    def _is_doubtful(self, audit: Audit, path: str, message: Message | None) -> bool:
        """Whether a tombstone may speak of a deletion that the audit is yet to hear of: a message says what was so when the
        relay read it, which is later than its position. The audit knows the next time, so it is doubted once."""
        node = audit.node(path)
        if node is None or message is None or not message.deleted or message.version != node.version:
            return False
        doubted = self._doubted.get(path) == node.version
        self._doubted = {path: at for path, at in self._doubted.items() if path in self._due}
        self._doubted[path] = node.version
        return not doubted

    async def _newest(self, stream: Stream, path: str) -> Message | None:
        subject = graph_subject(stream.epoch, path)
        try:
            message = await self._bus.manager.get_last_msg(stream_name(stream.epoch), subject)
            return decode(message.data or b"")
        except nats.js.errors.NotFoundError:
            return None
        except msgspec.DecodeError:
            return Message(path, uid="unreadable", kind="", version=0)
        except NATS_FAILURES as error:
            raise Transient(f"JetStream did not answer: {error}") from error


def _differences(audit: Audit, path: str, message: Message | None) -> list[str]:
    node = audit.node(path)
    if message is not None and message.version > audit.head.position:
        return []  # it has changed since, and will be named again
    if node is None:
        lives = message is not None and not message.deleted
        return [f"feed {path}: lives in its newest message, and is gone in the log"] if lives else []
    if message is None:
        return [f"feed {path}: has no message, and is at version {node.version} in the log"]
    pairs = {
        "version": (message.version, node.version),
        "deleted": (message.deleted, False),
        "uid": (message.uid, node.uid),
        "generation": (message.generation, node.generation),
        "labels": (dict(message.labels), node.labels),
        "spec": (msgspec.json.decode(message.spec), node.spec),
        "status": (msgspec.json.decode(message.status), node.status),
    }
    sentences = (difference(f"feed {path}, {name}", relayed, derived) for name, (relayed, derived) in pairs.items())
    return [sentence for sentence in sentences if sentence is not None]
