"""Keys as NATS writes them: Ed25519, in base32 with what they are for in front and a checksum behind.

The format is that of github.com/nats-io/nkeys (its README, `strkey.go` and `crc16.go`). The package `nkeys` of PyPI reads seeds
and makes none, so these few lines stand on PyNaCl, which it stands on too.
"""

import base64
import binascii
from typing import Literal

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from datamodel.errors import Invalid

Kind = Literal["operator", "account", "user"]

_PREFIXES: dict[Kind, int] = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_KINDS: dict[int, Kind] = {prefix: kind for kind, prefix in _PREFIXES.items()}
_SEED = 18 << 3
_KEY_BYTES = 32
SIGNATURE_BYTES = 64


class Key:
    """A pair. `public` is the key's name to everybody else; `seed` is what nobody else may see."""

    def __init__(self, kind: Kind, raw: bytes) -> None:
        self.kind = kind
        self._raw = raw
        self._key = SigningKey(raw)
        self.public = _text(bytes((_PREFIXES[kind],)), bytes(self._key.verify_key))

    @classmethod
    def new(cls, kind: Kind) -> "Key":
        return cls(kind, bytes(SigningKey.generate()))

    @classmethod
    def of(cls, seed: str) -> "Key":
        """Raises `Invalid`, which shows none of it, for what is no seed of an operator, an account or a user."""
        data = _bytes(seed)
        if data is None or len(data) != 2 + _KEY_BYTES or data[0] & 0xF8 != _SEED:
            raise Invalid("this is no seed of a key of NATS")
        kind = _KINDS.get((data[0] & 7) << 5 | data[1] >> 3)
        if kind is None:
            raise Invalid("this is the seed of a key of another kind")
        return cls(kind, data[2:])

    @property
    def seed(self) -> str:
        prefix = _PREFIXES[self.kind]
        return _text(bytes((_SEED | prefix >> 5, (prefix & 31) << 3)), self._raw)

    def sign(self, message: bytes) -> bytes:
        """The signature, of 64 bytes."""
        return self._key.sign(message).signature

    def __repr__(self) -> str:
        return f"Key({self.public})"


def check_public(text: str, kind: Kind, field: str = "") -> str:
    """The public key itself. Raises `Invalid` where it is none of this kind."""
    data = _bytes(text)
    if data is None or len(data) != 1 + _KEY_BYTES or data[0] != _PREFIXES[kind]:
        raise Invalid(f"{text[:80]!r} is no public key of NATS for {kind}s", field=field)
    return text


class Verifier:
    """Of one public key, which is read once: what is signed with it is checked often."""

    def __init__(self, public: str) -> None:
        """Raises `Invalid` for what is no public key."""
        data = _bytes(public)
        if data is None or len(data) != 1 + _KEY_BYTES or data[0] not in _KINDS:
            raise Invalid(f"{public[:80]!r} is no public key of NATS")
        self._key = VerifyKey(data[1:])

    def holds(self, message: bytes, signature: bytes) -> bool:
        """Whether the owner of the key has signed this."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        try:
            self._key.verify(message, signature)
        except CryptoError:
            return False
        return True


def _text(prefix: bytes, raw: bytes) -> str:
    data = prefix + raw
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).decode().rstrip("=")


def _bytes(text: str) -> bytes | None:
    """What is in the text, without its checksum; None where that is wrong."""
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        return None
    if len(data) < 3 or binascii.crc_hqx(data[:-2], 0).to_bytes(2, "little") != data[-2:]:
        return None
    return data[:-2] if _text(b"", data[:-2]) == text else None
