"""`tendril secrets`: new keys, and sealing anew with the present one."""

import sys
from collections.abc import Callable
from typing import Annotated

import uvloop
from cyclopts import App, Parameter

from datamodel.errors import Invalid, TendrilError
from datamodel.postgres.secrets import PostgresRevealing
from datamodel.program import read_settings
from datamodel.secrets.keyring import Keyring, new_key
from datamodel.secrets.opening import RevealingSettings, keyring_of

app = App(name="tendril secrets", help="The keys that secrets are sealed with.", version_flags=[])


@app.command(name="key")
def make_key() -> int:
    """Print a new private key, for TENDRIL_SECRETS_KEYS or a line of TENDRIL_SECRETS_KEY_FILE."""
    _say(new_key())
    return 0


@app.command(name="public")
def tell_public() -> int:
    """Print what goes with the first key of TENDRIL_SECRETS_KEYS or TENDRIL_SECRETS_KEY_FILE: TENDRIL_SECRETS_PUBLIC_KEY."""
    return _checked(lambda: _say(_keyring().seal.text))


@app.command(name="reseal")
def reseal(
    *,
    database_url: Annotated[str, Parameter(env_var="TENDRIL_DATABASE_URL", help="postgresql://… of the store")],
) -> int:
    """Seal with the first key what another key of the ring has sealed. Everything may run."""
    return _checked(lambda: _say(f"{uvloop.run(_reseal(database_url))} secrets were sealed anew"))


async def _reseal(database_url: str) -> int:
    async with PostgresRevealing(database_url, _keyring()) as revealing:
        return await revealing.reseal()


def _keyring() -> Keyring:
    keyring = keyring_of(read_settings(RevealingSettings))
    if keyring is None:
        raise Invalid("neither TENDRIL_SECRETS_KEYS nor TENDRIL_SECRETS_KEY_FILE is set")
    return keyring


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _checked(command: Callable[[], None]) -> int:
    try:
        command()
    except TendrilError as error:
        sys.stderr.write(f"secrets: {error.message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(app())
