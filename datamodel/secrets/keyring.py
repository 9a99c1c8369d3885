"""The keys of secrets at rest, and what is sealed with them: sealed boxes of libsodium (X25519, XSalsa20-Poly1305).

A seal is the public half of a key: who has nothing else can keep secrets and never read one.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from datamodel.errors import Invalid
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import Values, hidden, revealed

KEY_BYTES = 32
KEYS_LIMIT = 16
_ID_BYTES = 8


class _Content(msgspec.Struct, frozen=True):
    """What is sealed: whose it is too, so that it opens in no other place."""

    scope: str
    uid: str
    name: str
    values: dict[str, str]


_decode = msgspec.json.Decoder(_Content).decode
_encode = msgspec.json.Encoder().encode


class Seal:
    """Seals, and cannot open. `id` says which key opens it."""

    def __init__(self, key: PublicKey) -> None:
        self._box = SealedBox(key)
        self.text = base64.b64encode(bytes(key)).decode()
        self.id = hashlib.blake2b(bytes(key), digest_size=_ID_BYTES).hexdigest()

    @classmethod
    def of(cls, text: str) -> "Seal":
        """Raises `Invalid` for what is no public key."""
        return cls(PublicKey(_key_in(text)))

    def close(self, scope: Scope, name: str, values: Values) -> bytes:
        return self._box.encrypt(_encode(_Content(scope.name, scope.uid, name, revealed(values))))


class Keyring:
    """The keys that open. The first one's seal is the present one."""

    def __init__(self, keys: Sequence[PrivateKey]) -> None:
        self.seals = [Seal(key.public_key) for key in keys]
        self._boxes = {seal.id: SealedBox(key) for seal, key in zip(self.seals, keys, strict=True)}

    @classmethod
    def of(cls, text: str) -> "Keyring":
        """Of private keys in base64 with spaces, commas or line ends between them. Raises `Invalid`, which shows none of it."""
        words = text.replace(",", " ").split()
        if not 1 <= len(words) <= KEYS_LIMIT:
            raise Invalid(f"a keyring has 1 to {KEYS_LIMIT} keys")
        return cls([PrivateKey(_key_in(word)) for word in words])

    @classmethod
    def read(cls, path: Path) -> "Keyring":
        """Raises `Invalid` where the file is none, or others than its owner may read it."""
        try:
            if path.stat().st_mode & 0o077:
                raise Invalid(f"{path} may be read by others than its owner: chmod 600")
            return cls.of(path.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError):
            raise Invalid(f"{path} cannot be read as a file of keys") from None

    @property
    def seal(self) -> Seal:
        return self.seals[0]

    def open(self, key_id: str, scope: Scope, name: str, body: bytes) -> Values:
        """Raises `Invalid` where no key opens it, or it was sealed for another place."""
        box = self._boxes.get(key_id)
        if box is None:
            raise Invalid(f"the secret {name} of {scope.name} was sealed with the key {key_id[:32]}, which is not here")
        try:
            content = _decode(box.decrypt(body))
        except (CryptoError, msgspec.MsgspecError):
            raise Invalid(f"the secret {name} of {scope.name} is not what was sealed") from None
        if (content.scope, content.uid, content.name) != (scope.name, scope.uid, name):
            raise Invalid(f"the secret {name} of {scope.name} was sealed for another place")
        return hidden(content.values)


def new_key() -> str:
    """A private key, as a keyring's text has it."""
    return base64.b64encode(bytes(PrivateKey.generate())).decode()


def _key_in(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise Invalid(f"a key is {KEY_BYTES} bytes in base64")
    return key
