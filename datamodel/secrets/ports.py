"""The ports: what keeps secrets, and what reveals them. Adapters: `postgres`, `hashicorp`, and in memory `memory`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from datamodel.secrets.value import Values

SECRETS_LIMIT = 1_000
"""The most secrets of one scope."""


class Scope(msgspec.Struct, frozen=True):
    """Whose secrets they are: the name of a node, and its uid. A node that has the name later gets none of them."""

    name: str
    uid: str


class Described(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """All that is ever told of a secret. `keys` is None where the adapter may not look."""

    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    keys: tuple[str, ...] | None = None


class Keeping(Protocol):
    """What can be done with secrets without a way to read them. All raise `Transient` where what keeps them does not answer."""

    async def put(self, scope: Scope, name: str, values: Values) -> Described:
        """Keeps these values under this name, in the place of what was there. Raises `Conflict` for one secret too many."""
        ...

    async def described(self, scope: Scope, names: Collection[str]) -> dict[str, Described]:
        """Those that there are of these names."""
        ...

    async def listed(self, scope: Scope, after: str, limit: int) -> Sequence[Described]:
        """In order of name, behind `after`."""
        ...

    async def delete(self, scope: Scope, name: str) -> bool:
        """Whether there was one."""
        ...


class Revealing(Protocol):
    """The way to read them."""

    async def reveal(self, scope: Scope, names: Collection[str]) -> dict[str, Values]:
        """The values of those that there are. Raises `Transient`, and `Invalid` where one cannot be opened: it was sealed with
        a key that is not here, or it is not what was sealed."""
        ...
