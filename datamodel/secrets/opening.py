"""Which adapters a program's settings mean."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from datamodel.errors import Invalid
from datamodel.postgres.secrets import PostgresRevealing, PostgresSecrets
from datamodel.secrets.hashicorp import HashicorpSecrets
from datamodel.secrets.keyring import Keyring, Seal
from datamodel.secrets.ports import Keeping, Revealing

_PATH = r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"


class VaultSettings(BaseSettings):
    """Of both: secrets lie in a vault of HashiCorp's kind where its URL is set, and else in the database."""

    model_config = SettingsConfigDict(env_prefix="TENDRIL_", frozen=True, extra="ignore")

    vault_url: str | None = Field(default=None, pattern=r"^https?://[^/?#@\s]+$", description="https://… of a vault")
    vault_token_file: Path | None = Field(default=None, description="a file with its token, read for each request")
    vault_mount: str = Field(default="secret", pattern=_PATH, description="where its KV store, version 2, is mounted")
    vault_path: str = Field(default="tendril", pattern=_PATH, description="what the secrets' paths begin with there")


class KeepingSettings(VaultSettings):
    """Of a program that takes secrets in, and cannot read them."""

    secrets_public_key: str | None = Field(
        default=None, description="what secrets are sealed with, in base64; without it, none are taken in"
    )


class RevealingSettings(VaultSettings):
    """Of a program that reads secrets."""

    secrets_keys: SecretStr | None = Field(
        default=None, description="the private keys in base64 with commas between; the first one seals"
    )
    secrets_key_file: Path | None = Field(
        default=None, description="a file of them instead, one a line, that nobody else may read"
    )


@asynccontextmanager
async def open_keeping(settings: KeepingSettings, database_url: str) -> AsyncIterator[Keeping | None]:
    """What keeps secrets; None where nothing is set that could. Raises `Invalid` for a key that is none."""
    if settings.vault_url is not None:
        async with _vault(settings, settings.vault_url) as kept:
            yield kept
        return
    if settings.secrets_public_key is None:
        yield None
        return
    async with PostgresSecrets(database_url, _seal(settings.secrets_public_key)) as sealed:
        yield sealed


@asynccontextmanager
async def open_revealing(settings: RevealingSettings, database_url: str) -> AsyncIterator[Revealing | None]:
    """What reveals them; None where nothing is set that could. Raises `Invalid` for keys that are none."""
    if settings.vault_url is not None:
        async with _vault(settings, settings.vault_url) as kept:
            yield kept
        return
    keyring = keyring_of(settings)
    if keyring is None:
        yield None
        return
    async with PostgresRevealing(database_url, keyring) as revealing:
        yield revealing


def keyring_of(settings: RevealingSettings) -> Keyring | None:
    """Raises `Invalid` where there are keys, or a file of them, that cannot be read."""
    if settings.secrets_keys is not None:
        try:
            return Keyring.of(settings.secrets_keys.get_secret_value())
        except Invalid as error:
            raise Invalid(f"TENDRIL_SECRETS_KEYS: {error.message}") from None
    if settings.secrets_key_file is not None:
        return Keyring.read(settings.secrets_key_file)
    return None


def _vault(settings: VaultSettings, url: str) -> HashicorpSecrets:
    if settings.vault_token_file is None:
        raise Invalid("TENDRIL_VAULT_URL is set, and TENDRIL_VAULT_TOKEN_FILE is not")
    return HashicorpSecrets(url, settings.vault_token_file, mount=settings.vault_mount, path=settings.vault_path)


def _seal(text: str) -> Seal:
    try:
        return Seal.of(text)
    except Invalid as error:
        raise Invalid(f"TENDRIL_SECRETS_PUBLIC_KEY: {error.message}") from error
