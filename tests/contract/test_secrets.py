"""One suite for what keeps secrets and what reveals them, in memory and on Postgres."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from nacl.public import PrivateKey
from pydantic import SecretStr

from datamodel.errors import Conflict, Forbidden, Invalid, NotMigrated, Transient
from datamodel.postgres.secrets import PostgresRevealing, PostgresSecrets
from datamodel.secrets import ports
from datamodel.secrets.hashicorp import HashicorpSecrets
from datamodel.secrets.keyring import Keyring, new_key
from datamodel.secrets.memory import MemorySecrets
from datamodel.secrets.opening import KeepingSettings, RevealingSettings, open_keeping, open_revealing
from datamodel.secrets.ports import Keeping, Revealing, Scope
from datamodel.secrets.value import hidden, revealed
from tests.vault import TOKEN, vault

SCOPE = Scope("default", "uid-1")
VALUES = hidden({"user": "reader", "password": "tr0ub4dor & 3"})


@dataclass
class Secrets:
    """Both ports of one adapter."""

    keeping: Keeping
    revealing: Revealing

    async def read(self, scope: Scope, *names: str) -> dict[str, dict[str, str]]:
        return {name: revealed(values) for name, values in (await self.revealing.reveal(scope, names)).items()}


@pytest_asyncio.fixture
async def on_postgres(database_url: str) -> AsyncIterator[Secrets]:
    keyring = Keyring([PrivateKey.generate()])
    async with (
        PostgresSecrets(database_url, keyring.seal) as keeping,
        PostgresRevealing(database_url, keyring) as revealing,
    ):
        yield Secrets(keeping, revealing)


@pytest_asyncio.fixture
async def in_a_vault(tmp_path: Path) -> AsyncIterator[Secrets]:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    async with vault() as kv, HashicorpSecrets(kv.url, tmp_path / "token", mount="secret", path="tendril") as secrets:
        yield Secrets(secrets, secrets)


@pytest.fixture(params=["memory", "postgres", "vault"])
def secrets(request: pytest.FixtureRequest) -> Secrets:
    if request.param == "memory":
        memory = MemorySecrets()
        return Secrets(memory, memory)
    found: Secrets = request.getfixturevalue("on_postgres" if request.param == "postgres" else "in_a_vault")
    return found


async def test_what_is_put_is_revealed_and_told_of_without_a_value(secrets: Secrets) -> None:
    put = await secrets.keeping.put(SCOPE, "database", VALUES)
    assert (put.name, put.version) == ("database", 1)
    assert put.keys in (("password", "user"), None)  # what a vault's policy hides
    assert await secrets.read(SCOPE, "database", "another") == {"database": revealed(VALUES)}
    assert await secrets.keeping.described(SCOPE, ["database", "another"]) == {"database": put}
    assert list(await secrets.keeping.listed(SCOPE, "", 10)) == [put]


async def test_the_last_value_counts(secrets: Secrets) -> None:
    first = await secrets.keeping.put(SCOPE, "a", VALUES)
    second = await secrets.keeping.put(SCOPE, "a", hidden({"value": "new"}))
    assert (second.version, second.created_at) == (2, first.created_at)
    assert second.keys in (("value",), None)
    assert second.updated_at >= first.updated_at
    assert await secrets.read(SCOPE, "a") == {"a": {"value": "new"}}


async def test_a_deleted_one_is_gone(secrets: Secrets) -> None:
    await secrets.keeping.put(SCOPE, "a", VALUES)
    assert await secrets.keeping.delete(SCOPE, "a")
    assert not await secrets.keeping.delete(SCOPE, "a")
    assert await secrets.read(SCOPE, "a") == {}


async def test_a_list_has_pages(secrets: Secrets) -> None:
    for name in ("c", "a", "b-2", "b"):
        await secrets.keeping.put(SCOPE, name, VALUES)
    assert [one.name for one in await secrets.keeping.listed(SCOPE, "", 2)] == ["a", "b"]
    assert [one.name for one in await secrets.keeping.listed(SCOPE, "b", 9)] == ["b-2", "c"]


async def test_another_scope_has_others(secrets: Secrets) -> None:
    """Also one that has the name of another that is gone, but in a vault, which knows names alone."""
    await secrets.keeping.put(SCOPE, "a", VALUES)
    again = [] if isinstance(secrets.keeping, HashicorpSecrets) else [Scope("default", "uid-3")]
    for scope in (Scope("other", "uid-2"), *again):
        assert await secrets.read(scope, "a") == {}
        assert await secrets.keeping.listed(scope, "", 9) == []
        assert not await secrets.keeping.delete(scope, "a")
        await secrets.keeping.put(scope, "a", hidden({"value": scope.uid}))
        assert await secrets.read(scope, "a") == {"a": {"value": scope.uid}}


async def test_there_are_only_so_many(secrets: Secrets) -> None:
    if isinstance(secrets.keeping, HashicorpSecrets):
        return  # a vault has limits of its own
    numbers = range(ports.SECRETS_LIMIT)
    await asyncio.gather(*(secrets.keeping.put(SCOPE, f"s{number}", hidden({"value": "v"})) for number in numbers))
    with pytest.raises(Conflict):
        await secrets.keeping.put(SCOPE, "more", VALUES)
    await secrets.keeping.put(SCOPE, "s7", VALUES)
    await secrets.keeping.put(Scope("other", "uid-2"), "more", VALUES)


async def test_nothing_of_a_value_is_in_the_table(on_postgres: Secrets, database_url: str) -> None:
    await on_postgres.keeping.put(SCOPE, "a", VALUES)
    connection = await asyncpg.connect(database_url)
    try:
        row = str(dict(await connection.fetchrow("SELECT * FROM secrets") or {}))
    finally:
        await connection.close()
    assert "tr0ub4dor" not in row
    assert "password" in row


async def test_a_new_key_takes_over_and_the_old_one_may_go(database_url: str) -> None:
    old, new = PrivateKey.generate(), PrivateKey.generate()
    async with PostgresSecrets(database_url, Keyring([old]).seal) as keeping:
        for number in range(150):
            await keeping.put(SCOPE, f"s{number}", VALUES)
    async with PostgresRevealing(database_url, Keyring([new])) as revealing:
        with pytest.raises(Invalid, match="was sealed with the key"):
            await revealing.reveal(SCOPE, ["s1"])
    async with (
        PostgresRevealing(database_url, Keyring([new, old])) as both,
        PostgresSecrets(database_url, Keyring([new]).seal) as keeping,
        PostgresRevealing(database_url, Keyring([new])) as revealing,
    ):
        await keeping.put(SCOPE, "s0", VALUES)
        assert await both.reseal() == 149
        assert await both.reseal() == 0
        assert len(await revealing.reveal(SCOPE, [f"s{number}" for number in range(150)])) == 150
        assert (await keeping.described(SCOPE, ["s1"]))["s1"].version == 1


async def test_a_body_in_anothers_place_does_not_open(on_postgres: Secrets, database_url: str) -> None:
    await on_postgres.keeping.put(SCOPE, "a", VALUES)
    await on_postgres.keeping.put(SCOPE, "b", VALUES)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "UPDATE secrets SET body = (SELECT body FROM secrets WHERE name = 'a') WHERE name = 'b'"
        )
        with pytest.raises(Invalid, match="another place"):
            await on_postgres.revealing.reveal(SCOPE, ["b"])
        await connection.execute("UPDATE secrets SET body = set_byte(body, 40, 1 + get_byte(body, 40) % 200)")
        with pytest.raises(Invalid, match="not what was sealed"):
            await on_postgres.revealing.reveal(SCOPE, ["a"])
    finally:
        await connection.close()


async def test_a_database_that_was_not_migrated_says_so(empty_database_url: str) -> None:
    async with PostgresSecrets(empty_database_url, Keyring([PrivateKey.generate()]).seal) as keeping:
        with pytest.raises(NotMigrated):
            await keeping.put(SCOPE, "a", VALUES)


async def test_a_vault_that_refuses_or_fails_is_told_without_a_value(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    async with vault() as kv, HashicorpSecrets(kv.url, token, mount="secret", path="tendril") as secrets:
        with pytest.raises(Forbidden) as refused:
            await secrets.put(SCOPE, "a", VALUES)
        token.write_text(TOKEN)  # as who renews it does
        await secrets.put(SCOPE, "a", VALUES)
        assert "POST /v1/secret/data/tendril/default/a" in kv.seen
        kv.status = 503
        with pytest.raises(Transient) as sealed:
            await secrets.put(SCOPE, "a", VALUES)
        kv.status = None
        kv.versions["tendril/default/a"][-1] = {"password": ["tr0ub4dor"]}
        with pytest.raises(Invalid) as odd:
            await secrets.reveal(SCOPE, ["a"])
        token.unlink()
        with pytest.raises(Transient):
            await secrets.reveal(SCOPE, ["a"])
    with pytest.raises(Transient):
        await HashicorpSecrets(kv.url, tmp_path / "token", mount="secret", path="tendril").reveal(SCOPE, ["a"])
    for raised in (refused, sealed, odd):
        assert "tr0ub4dor" not in str(raised.value) + repr(raised.value.__cause__) + repr(raised.value.__context__)


async def test_the_settings_say_where_secrets_lie(tmp_path: Path, database_url: str) -> None:
    key, token = new_key(), tmp_path / "token"
    keys = tmp_path / "keys"
    keys.write_text(key)
    keys.chmod(0o600)
    async with (
        open_keeping(KeepingSettings(), database_url) as none,
        open_revealing(RevealingSettings(), database_url) as no,
    ):
        assert none is None
        assert no is None
    public = Keyring.of(key).seal.text
    async with (
        open_keeping(KeepingSettings(secrets_public_key=public), database_url) as keeping,
        open_revealing(RevealingSettings(secrets_key_file=keys), database_url) as revealing,
    ):
        assert keeping is not None
        assert revealing is not None
        await keeping.put(SCOPE, "a", VALUES)
        assert list(await revealing.reveal(SCOPE, ["a"])) == ["a"]
    async with open_keeping(KeepingSettings(vault_url="http://v", vault_token_file=token), database_url) as vaulted:
        assert isinstance(vaulted, HashicorpSecrets)
    keys.chmod(0o640)
    for wrong in (
        RevealingSettings(secrets_key_file=keys),
        RevealingSettings(secrets_keys=SecretStr("no key")),
        RevealingSettings(vault_url="http://v"),
    ):
        with pytest.raises(Invalid):
            async with open_revealing(wrong, database_url):
                pass
