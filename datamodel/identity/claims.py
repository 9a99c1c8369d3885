"""What operators, accounts and signing keys of NATS say of others, as it is signed: JWTs of version 2.

The format is that of github.com/nats-io/jwt (`v2/claims.go`, `account_claims.go`, `user_claims.go`, `signingkeys.go`). No
library writes them in Python but one that calls itself untested, so this module does; it writes what we use of them, and reads
only what it has written. ADR-14 of NATS says the same of users of scoped signing keys: they are a few fields.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from datamodel.errors import Invalid
from datamodel.identity.nkeys import Key, Verifier

_HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
_NO_LIMIT = -1
_UNLIMITED = {"subs": _NO_LIMIT, "data": _NO_LIMIT, "payload": _NO_LIMIT}
_ACCOUNT_LIMITS = _UNLIMITED | {
    "imports": 0,
    "exports": 0,
    "conn": _NO_LIMIT,
    "leaf": _NO_LIMIT,
    "disallow_bearer": True,
}
_STREAMS = {"mem_storage": _NO_LIMIT, "disk_storage": _NO_LIMIT, "streams": _NO_LIMIT, "consumer": _NO_LIMIT}
JWT_LIMIT_BYTES = 3_500
"""Of a user: it travels in a line of 4,096 bytes at most, with a signature and the client's name."""


class Template(NamedTuple):
    """What users of a scoped signing key may do. Subjects may have NATS' templates in them, as `{{tag(site)}}`: of a tag that a
    user has several times there is a subject for each, and of one that it has not none."""

    publish: Sequence[str]
    subscribe: Sequence[str]
    deny_publish: Sequence[str] = ()
    connections: Sequence[str] = ("STANDARD", "WEBSOCKET")


class User(msgspec.Struct, frozen=True):
    """What a user's JWT says. `issued` and `expires` are seconds since 1970; 0: it never expires."""

    public: str
    name: str
    issuer: str
    issued: int
    expires: int
    tags: tuple[str, ...]

    def tagged(self, key: str) -> list[str]:
        """The values of the tags of this key."""
        return [tag.partition(":")[2] for tag in self.tags if tag.startswith(f"{key}:")]


class _Nats(msgspec.Struct):
    type: str
    issuer_account: str = ""
    tags: list[str] = []


class _Claims(msgspec.Struct):
    sub: str
    iss: str
    iat: int
    nats: _Nats
    name: str = ""
    exp: int = 0


class _Revocations(msgspec.Struct):
    revocations: dict[str, int] = {}


class _Account(msgspec.Struct):
    nats: _Revocations


_decode = msgspec.json.Decoder(_Claims).decode


def operator_jwt(key: Key, name: str, system_account: str, now: datetime) -> str:
    return _signed(key, key.public, name, {"type": "operator", "system_account": system_account}, now)


def account_jwt(
    operator: Key,
    public: str,
    name: str,
    now: datetime,
    scopes: Mapping[str, tuple[str, Template]],
    revoked: Mapping[str, int],
    *,
    streams: bool = True,
) -> str:
    """`scopes` are the public signing keys by the name of their role, with what their users may do. `revoked` tells of users'
    public keys the second up to which what was issued for them is worth nothing any more."""
    said = {
        "type": "account",
        "limits": _ACCOUNT_LIMITS | (_STREAMS if streams else {}),
        "default_permissions": {"pub": {}, "sub": {}},
        "signing_keys": [_scope(role, key, template) for role, (key, template) in sorted(scopes.items())],
        "revocations": dict(sorted(revoked.items())),
    }
    return _signed(operator, public, name, said, now)


def user_jwt(
    signing: Key,
    account: str,
    public: str,
    name: str,
    now: datetime,
    *,
    expires: datetime | None,
    tags: Sequence[str] = (),
) -> str:
    """What may be done with it says the signing key's template. Raises `Invalid` where it says too much to be shown."""
    said = {"type": "user", "issuer_account": account, "tags": list(tags)}
    written = _signed(signing, public, name, said, now, expires)
    if len(written) > JWT_LIMIT_BYTES:
        raise Invalid(f"a credential of {len(written)} bytes is more than {JWT_LIMIT_BYTES}: its scope names too much")
    return written


def system_user_jwt(account_key: Key, public: str, now: datetime) -> str:
    """Of one who may do everything in an account that has no scopes."""
    return _signed(account_key, public, "system", {"type": "user", **_UNLIMITED}, now)


def read_user(jwt: str) -> User:
    """What a user's JWT says, once its signature holds; whether the one who signed it is to be trusted is for who asks to
    judge. Raises `Invalid`."""
    try:
        said, _, signature = jwt.rpartition(".")
        claims = _decode(_unpadded(said.partition(".")[2]))
        holds = Verifier(claims.iss).holds(said.encode(), _unpadded(signature))
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
        raise Invalid("this is no JWT of NATS") from error
    if not holds or claims.nats.type != "user":
        raise Invalid("this is no signed JWT of a user of NATS")
    return User(claims.sub, claims.name, claims.iss, claims.iat, claims.exp, tuple(claims.nats.tags))


def revoked_in(jwt: str) -> dict[str, int]:
    """Of an account's JWT, what it says is revoked. Raises `Invalid`."""
    try:
        return msgspec.json.decode(_unpadded(jwt.split(".")[1]), type=_Account).nats.revocations
    except (msgspec.MsgspecError, UnicodeError, ValueError, IndexError, RecursionError) as error:
        raise Invalid("this is no JWT of an account of NATS") from error


def is_same_account(one: str, other: str) -> bool:
    """Whether two JWTs of an account, or of an operator, say the same, whenever they were signed. Raises `Invalid`."""
    return bool(_said(one) == _said(other))


def subject_in(jwt: str) -> str:
    """The public key that a JWT of an account is about. Raises `Invalid`."""
    subject: str = _said(jwt)[1]
    return subject


def _said(jwt: str) -> Any:
    try:
        claims = msgspec.json.decode(_unpadded(jwt.split(".")[1]))
        return claims["iss"], claims["sub"], claims["nats"]
    except (msgspec.MsgspecError, UnicodeError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise Invalid("this is no JWT of NATS") from error


def _scope(role: str, key: str, template: Template) -> dict[str, Any]:
    permissions = {
        "pub": {"allow": list(template.publish), "deny": list(template.deny_publish)},
        "sub": {"allow": list(template.subscribe)},
    }
    return {
        "kind": "user_scope",
        "key": key,
        "role": role,
        "description": "",
        "template": {**permissions, **_UNLIMITED, "allowed_connection_types": list(template.connections)},
    }


def _signed(
    key: Key, subject: str, name: str, said: dict[str, Any], now: datetime, expires: datetime | None = None
) -> str:
    claims: dict[str, Any] = {"iat": int(now.timestamp()), "iss": key.public, "name": name, "sub": subject}
    if expires is not None:
        claims["exp"] = int(expires.timestamp())
    claims["nats"] = {**said, "version": 2}
    digest = hashlib.new("sha512_256", msgspec.json.encode(claims)).digest()
    claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
    text = f"{_padless(msgspec.json.encode(_HEADER))}.{_padless(msgspec.json.encode(claims))}"
    return f"{text}.{_padless(key.sign(text.encode()))}"


def _padless(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unpadded(text: str) -> bytes:
    """Raises `ValueError`."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("no base64") from error
