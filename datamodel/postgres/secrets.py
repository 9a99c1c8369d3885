"""Secrets in a table of their own, sealed before they reach the database: neither its files nor its log have a value."""

from collections.abc import Collection, Sequence
from typing import Any, Self

import asyncpg

from datamodel.errors import Conflict
from datamodel.postgres.database import Database
from datamodel.secrets.keyring import Keyring, Seal
from datamodel.secrets.ports import SECRETS_LIMIT, Described, Scope
from datamodel.secrets.value import Values

_DESCRIBED = "name, version, created_at, updated_at, keys"
_RESEAL_ROWS = 100


class _Table:
    """A connection to the table, open for as long as `async with` lasts."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, broken=lambda: None)

    async def __aenter__(self) -> Self:
        await self._database.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._database.__aexit__()


class PostgresSecrets(_Table):
    """The port `Keeping`. Open it with `async with`."""

    def __init__(self, url: str, seal: Seal) -> None:
        super().__init__(url)
        self._seal = seal

    async def put(self, scope: Scope, name: str, values: Values) -> Described:
        """What is left of a scope of the same name that is gone is removed by the way."""
        await self._database.fetch("DELETE FROM secrets WHERE scope = $1 AND uid <> $2", scope.name, scope.uid)
        found = await self._database.fetch(
            "INSERT INTO secrets AS kept (scope, uid, name, key_id, body, keys)"
            " SELECT $1, $2, $3, $4, $5::bytea, $6::text[] WHERE EXISTS (SELECT FROM secrets WHERE scope = $1 AND name = $3)"
            f" OR (SELECT count(*) FROM secrets WHERE scope = $1) < {SECRETS_LIMIT}"
            " ON CONFLICT (scope, uid, name) DO UPDATE SET key_id = $4, body = $5, keys = $6, version = kept.version + 1,"
            f" updated_at = now() RETURNING {_DESCRIBED}",
            scope.name,
            scope.uid,
            name,
            self._seal.id,
            self._seal.close(scope, name, values),
            sorted(values),
        )
        if not found:
            raise Conflict(f"{scope.name} has {SECRETS_LIMIT} secrets already")
        return _described(found[0])

    async def described(self, scope: Scope, names: Collection[str]) -> dict[str, Described]:
        found = await self._database.look_up(
            f"SELECT {_DESCRIBED} FROM secrets WHERE scope = $1 AND uid = $2 AND name = ANY($3)",
            scope.name,
            scope.uid,
            list(names),
        )
        return {row["name"]: _described(row) for row in found}

    async def listed(self, scope: Scope, after: str, limit: int) -> Sequence[Described]:
        found = await self._database.look_up(
            f"SELECT {_DESCRIBED} FROM secrets WHERE scope = $1 AND uid = $2 AND name > $3 ORDER BY name LIMIT $4",
            scope.name,
            scope.uid,
            after,
            limit,
        )
        return [_described(row) for row in found]

    async def delete(self, scope: Scope, name: str) -> bool:
        query = "DELETE FROM secrets WHERE scope = $1 AND uid = $2 AND name = $3 RETURNING name"
        return bool(await self._database.look_up(query, scope.name, scope.uid, name))


class PostgresRevealing(_Table):
    """The port `Revealing` on the same table, for who has the keys. Open it with `async with`."""

    def __init__(self, url: str, keyring: Keyring) -> None:
        super().__init__(url)
        self._keyring = keyring

    async def reveal(self, scope: Scope, names: Collection[str]) -> dict[str, Values]:
        found = await self._database.look_up(
            "SELECT name, key_id, body FROM secrets WHERE scope = $1 AND uid = $2 AND name = ANY($3)",
            scope.name,
            scope.uid,
            list(names),
        )
        return {row["name"]: self._keyring.open(row["key_id"], scope, row["name"], row["body"]) for row in found}

    async def reseal(self) -> int:
        """Seals with the present key what another one has sealed; how many there were. What is put meanwhile stays as it is.
        Raises `Invalid` at the first that no key opens."""
        count, present = 0, self._keyring.seal
        while rows := await self._database.fetch(
            f"SELECT scope, uid, name, key_id, body, version FROM secrets WHERE key_id <> $1 LIMIT {_RESEAL_ROWS}",
            present.id,
        ):
            for row in rows:
                scope, name = Scope(row["scope"], row["uid"]), row["name"]
                body = present.close(scope, name, self._keyring.open(row["key_id"], scope, name, row["body"]))
                await self._database.look_up(
                    "UPDATE secrets SET key_id = $5, body = $6 WHERE scope = $1 AND uid = $2 AND name = $3 AND version = $4",
                    *(scope.name, scope.uid, name, row["version"], present.id, body),
                )
            count += len(rows)
        return count


def _described(row: "asyncpg.Record | dict[str, Any]") -> Described:
    return Described(row["name"], row["version"], row["created_at"], row["updated_at"], tuple(row["keys"]))
