"""How a program gets to NATS: where it is, and what the program shows there."""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from datamodel.errors import Invalid
from datamodel.identity.credentials import Credential, read_credential

_SCHEMES = ("nats", "tls", "ws", "wss")


class Access(NamedTuple):
    """`creds` is the file with the program's JWT and key, which is read for each connection, so that what was renewed meanwhile
    is shown by the next one; `ca` the file of who vouches for the server's certificate, where not the system does; `inbox` what
    the subjects begin with where it is answered, where its credential names another one than that of its key."""

    url: str
    creds: Path | Credential | None = None
    ca: Path | None = None
    inbox: str = ""

    def credential(self) -> Credential:
        """Raises `Invalid` where there is none that can be shown."""
        if self.creds is None:
            raise Invalid("no credential for NATS is set", field="TENDRIL_NATS_CREDS")
        credential = self.creds if isinstance(self.creds, Credential) else read_credential(self.creds)
        if not credential.jwt:
            raise Invalid("nobody has signed a credential for the key yet")
        return credential

    def check(self) -> None:
        """Raises `Invalid` where the URL, or one of several with commas between, is no server's, or has a name or password in
        it: nothing else than a credential opens a server."""
        if "@" in self.url:  # first: what is in it is not to be told
            raise Invalid("a URL of NATS has no user and no password: a credential opens it", field="TENDRIL_NATS_URL")
        for url in self.url.split(","):
            try:
                parts = urlsplit(url)
                is_one = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
            except ValueError:
                is_one = False
            if not is_one:
                says = (
                    f"TENDRIL_NATS_URL: {url!r} is no server of NATS: write it as nats://HOST:PORT or tls://HOST:PORT"
                )
                raise Invalid(says, field="TENDRIL_NATS_URL")

    def tls(self) -> ssl.SSLContext | None:
        """What a certificate is checked by; None where the line is not to be secured. Raises `Invalid`."""
        if urlsplit(self.url).scheme not in ("tls", "wss"):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(f"{self.ca} holds no certificates: {error}", field="TENDRIL_NATS_CA") from error


class NatsSettings(BaseSettings):
    """Of every program that talks to NATS."""

    model_config = SettingsConfigDict(env_prefix="TENDRIL_", frozen=True, extra="ignore")

    nats_url: str = Field(description="nats://… or tls://… of a server")
    nats_creds: Path | None = Field(default=None, description="the file of the program's credential there")
    nats_ca: Path | None = Field(
        default=None, description="a file of certificates that vouch for it; without it, the system's"
    )

    @property
    def nats(self) -> Access:
        return Access(self.nats_url, self.nats_creds, self.nats_ca)
