"""A message with who has signed it: the public key (56 letters), the signature (64 bytes), and then the message as it is.

The signature is of the subject too, so that what was said in one place is worth nothing in another. The envelope knows nothing
of what is in it, whose versions come and go.
"""

from typing import NamedTuple

from datamodel.errors import Invalid
from datamodel.identity.nkeys import SIGNATURE_BYTES, Key

_KEY_CHARACTERS = 56
_HEAD = _KEY_CHARACTERS + SIGNATURE_BYTES


class Envelope(NamedTuple):
    """An opened one. Nothing is checked yet."""

    public: str
    signature: bytes
    body: bytes


def signed(subject: str, body: bytes) -> bytes:
    """What is signed of a message."""
    return subject.encode() + b"\0" + body


def seal(key: Key, subject: str, body: bytes) -> bytes:
    return key.public.encode() + key.sign(signed(subject, body)) + body


def unseal(data: bytes) -> Envelope:
    """Raises `Invalid` where there is no envelope."""
    head = data[:_KEY_CHARACTERS]
    if len(data) < _HEAD or not head.isalnum() or not head.isascii():
        raise Invalid("the message is not signed")
    return Envelope(head.decode(), data[_KEY_CHARACTERS:_HEAD], data[_HEAD:])
