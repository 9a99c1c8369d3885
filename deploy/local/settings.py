"""What the environment says about a machine-local Tendril."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local.nats import Tls

PREFIX = "TENDRIL_"


class Settings(BaseSettings):
    """Read once, by `up.py`. Raises `pydantic.ValidationError` where a variable is malformed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    home: Path = Field(Path(".tendril"), description="The directory of all data, logs and credentials.")
    port: int = Field(8080, ge=1, le=65535, description="The gateway's TCP port on 127.0.0.1.")
    edges: int = Field(3, ge=1, le=100, description="How many edge agents to run.")
    nats_certificate: Path | None = Field(
        None, description="What NATS shows to others than this machine; it is good for 127.0.0.1 too."
    )
    nats_key: Path | None = Field(None, description="The certificate's key.")
    nats_ca: Path | None = Field(None, description="The certificates that vouch for it.")

    cpu: float | None = Field(
        None, gt=0, validation_alias="EDGE_CPU", description="Cores of each edge; else its share of this machine's."
    )
    memory_bytes: int | None = Field(
        None, gt=0, validation_alias="EDGE_MEMORY_BYTES", description="Memory of each edge; else its share."
    )
    power_w: float = Field(37.0, gt=0, validation_alias="EDGE_POWER_W", description="Power of each edge in watts.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len({path is None for path in (self.nats_certificate, self.nats_key, self.nats_ca)}) > 1:
            raise ValueError("TENDRIL_NATS_CERTIFICATE, TENDRIL_NATS_KEY and TENDRIL_NATS_CA belong together")
        return self

    @property
    def tls(self) -> Tls | None:
        """What NATS listens with on all addresses; None: on this machine alone, without."""
        if self.nats_certificate is None or self.nats_key is None or self.nats_ca is None:
            return None
        return Tls(self.nats_certificate.absolute(), self.nats_key.absolute(), self.nats_ca.absolute())
