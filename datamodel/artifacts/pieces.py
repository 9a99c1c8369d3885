"""An artifact in pieces, each of which proves itself and all that comes before it. Pure."""

import hashlib

from datamodel.errors import Invalid

PIECE_BYTES = 128 * 1024
"""What each piece but the last has of the artifact."""
_DIGEST_BYTES = 32
SEALED_BYTES = PIECE_BYTES + 2 * _DIGEST_BYTES
"""The most that a piece takes where it is kept."""


class Sealing:
    """Makes pieces of what it is fed in order. A piece begins with the SHA-256 of its own bytes and that of the whole artifact
    up to its end: so two that are equal follow equal beginnings."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()

    def seal(self, data: bytes) -> bytes:
        """The next piece. All but the last have `PIECE_BYTES`."""
        self._whole.update(data)
        return hashlib.sha256(data).digest() + self._whole.digest() + data

    @property
    def sha256(self) -> str:
        """Of all that was fed, as lower-case hex."""
        return self._whole.hexdigest()


def unsealed(body: bytes, size_bytes: int) -> bytes:
    """What a piece has of its artifact. Raises `Invalid` where that is not what was put there, of so many bytes."""
    data = body[2 * _DIGEST_BYTES :]
    if len(data) != size_bytes or hashlib.sha256(data).digest() != body[:_DIGEST_BYTES]:
        raise Invalid("a piece is not as it was put there")
    return data


def count_of(size_bytes: int) -> int:
    """How many pieces an artifact has."""
    return -(-size_bytes // PIECE_BYTES)


def size_of(size_bytes: int, number: int) -> int:
    """How many bytes of an artifact its piece of this number has, from 0 on."""
    return min(PIECE_BYTES, size_bytes - number * PIECE_BYTES)
