"""`tendril secrets`: a new key is made, told of, and takes over."""

import asyncio
import os
import sys
from pathlib import Path

from datamodel.postgres.secrets import PostgresRevealing, PostgresSecrets
from datamodel.secrets.keyring import Keyring, Seal
from datamodel.secrets.ports import Scope
from datamodel.secrets.value import hidden


async def command(*words: str, **environment: str) -> tuple[int, str]:
    argv = (sys.executable, "-m", "datamodel.secrets", *words)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TENDRIL_")}
    program = await asyncio.create_subprocess_exec(
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**inherited, **environment},
        cwd=Path(__file__).parents[2],
    )
    said, _ = await program.communicate()
    return program.returncode or 0, said.decode().strip()


async def test_a_new_key_takes_over(database_url: str, tmp_path: Path) -> None:
    (_, old), (_, new) = await command("key"), await command("key")
    assert await command("public", TENDRIL_SECRETS_KEYS=old) == (0, Keyring.of(old).seal.text)
    scope = Scope("default", "u")
    async with PostgresSecrets(database_url, Seal.of(Keyring.of(old).seal.text)) as keeping:
        await keeping.put(scope, "a", hidden({"value": "v"}))
    file = tmp_path / "keys"
    file.write_text(f"{new}\n{old}\n")
    file.chmod(0o600)
    environment = {"TENDRIL_SECRETS_KEY_FILE": str(file), "TENDRIL_DATABASE_URL": database_url}
    assert await command("reseal", **environment) == (0, "1 secrets were sealed anew")
    async with PostgresRevealing(database_url, Keyring.of(new)) as revealing:
        assert list(await revealing.reveal(scope, ["a"])) == ["a"]


async def test_what_is_no_key_is_told_without_it(tmp_path: Path) -> None:
    assert await command("public") == (2, "secrets: neither TENDRIL_SECRETS_KEYS nor TENDRIL_SECRETS_KEY_FILE is set")
    code, said = await command("public", TENDRIL_SECRETS_KEYS="cAnArY")
    assert (code, "cAnArY" in said) == (2, False)
    file = tmp_path / "keys"
    file.write_text("cAnArY")
    code, said = await command("public", TENDRIL_SECRETS_KEY_FILE=str(file))
    assert (code, "chmod 600" in said) == (2, True)
