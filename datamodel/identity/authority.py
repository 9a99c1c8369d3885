"""Who gives credentials out: the operator's and the account's keys, and one signing key for each role, in one file.

Whoever has this file may become anybody. Who has it not can check what was signed, and sign nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from datamodel.errors import Invalid
from datamodel.identity.claims import Template, account_jwt, operator_jwt, system_user_jwt, user_jwt
from datamodel.identity.credentials import Credential
from datamodel.identity.nkeys import Key
from datamodel.private import check_private, write_private

ACCOUNT = "TENDRIL"
SYSTEM = "SYS"


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seeds."""

    operator: str
    system: str
    account: str
    roles: dict[str, str]


class Authority:
    """One operator with one account. `templates` say what each role may do; a user's JWT names the role's signing key, so what
    a role may do changes for all who have it as soon as the servers are told."""

    def __init__(self, stored: _Stored, templates: Mapping[str, Template]) -> None:
        """Raises `Invalid` where a seed is none, or a role has no signing key."""
        self._operator, self._system, self._account = map(Key.of, (stored.operator, stored.system, stored.account))
        if missing := sorted({*templates}.difference(stored.roles)):
            raise Invalid(f"there is no signing key for {', '.join(missing)}")
        self._roles = {role: Key.of(seed) for role, seed in stored.roles.items()}
        self._templates = templates

    @classmethod
    def read(cls, path: Path, templates: Mapping[str, Template]) -> "Authority":
        """Raises `Invalid`, which shows none of it, where the file is none or open to others."""
        try:
            check_private(path)
            return cls(msgspec.json.decode(path.read_bytes(), type=_Stored), templates)
        except OSError as error:
            raise Invalid(f"the keys {path} cannot be read: {error.strerror}") from error
        except msgspec.MsgspecError:
            raise Invalid(f"{path} holds no keys of an operator") from None

    @classmethod
    def kept(cls, path: Path, templates: Mapping[str, Template]) -> "Authority":
        """The one in the file, which is made where there is none. Raises as `read`."""
        if not path.exists():
            operator, system, account = Key.new("operator"), Key.new("account"), Key.new("account")
            roles = {role: Key.new("account").seed for role in sorted(templates)}
            stored = _Stored(operator.seed, system.seed, account.seed, roles)
            write_private(path, msgspec.json.format(msgspec.json.encode(stored)).decode())
        return cls.read(path, templates)

    @property
    def roles(self) -> Iterable[str]:
        """The roles that there are."""
        return self._templates.keys()

    @property
    def account(self) -> str:
        """The account's public key."""
        return self._account.public

    @property
    def system_account(self) -> str:
        return self._system.public

    def issuer(self, role: str) -> str:
        """The public key that the credentials of a role are signed with."""
        return self._roles[role].public

    def operator_jwt(self, now: datetime) -> str:
        return operator_jwt(self._operator, "tendril", self.system_account, now)

    def system_account_jwt(self, now: datetime) -> str:
        return account_jwt(self._operator, self.system_account, SYSTEM, now, {}, {}, streams=False)

    def account_jwt(self, now: datetime, revoked: Mapping[str, int], *, roles: Collection[str] | None = None) -> str:
        """What servers are told of the account: see `account_jwt` of `claims`. Where `roles` are named, it is for servers
        that let in nobody else, and keep no streams of the account."""
        scopes = {
            role: (self.issuer(role), template)
            for role, template in self._templates.items()
            if roles is None or role in roles
        }
        return account_jwt(self._operator, self.account, ACCOUNT, now, scopes, revoked, streams=roles is None)

    def sign(
        self, role: str, public: str, name: str, now: datetime, *, expires: datetime | None, tags: Sequence[str] = ()
    ) -> str:
        """A user's JWT. Raises `Invalid` where it would be too long."""
        return user_jwt(self._roles[role], self.account, public, name, now, expires=expires, tags=tags)

    def system_credential(self, now: datetime) -> Credential:
        """A new one of the system account, by which servers are told of the account."""
        key = Key.new("user")
        return Credential(key, system_user_jwt(self._system, key.public, now))
