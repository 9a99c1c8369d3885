"""The feed's messages: one node's whole image, or that it is gone, each with the id of the event that it follows.

The id is a member of the body and no header: headers cost every follower of every message as much as the rest.
"""

import msgspec

from datamodel.ports import Change, Message

POKE = "poke"
"""Core NATS subject: the log has grown."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoders raise for bytes that are no such message: broken JSON or another shape, broken UTF-8, too deep nesting."""

_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode
"""A `Message` from a body; raises `UNREADABLE`."""


class _Event(msgspec.Struct):
    event: str = ""


_event = msgspec.json.Decoder(_Event).decode


def encode(change: Change) -> bytes:
    """The body of a change: its node, or a tombstone with the position at which the node went; of one without a path, the
    event's id alone."""
    if change.node is not None:
        return _with_event(change.event_id, _encode(change.node))
    if change.path:
        gone = Message(change.path, change.uid, change.kind, change.position, deleted=True)
        return _with_event(change.event_id, _encode(gone))
    return _encode(_Event(change.event_id))


def event_id(body: bytes) -> str:
    """The id of the event that a message follows; raises `UNREADABLE`."""
    return _event(body).event


def _with_event(event: str, body: bytes) -> bytes:
    return b'{"event":"%b",%b' % (event.encode(), body[1:])
