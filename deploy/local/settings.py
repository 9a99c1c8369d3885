"""What the environment says about a machine-local Tendril."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TENDRIL_"


class Settings(BaseSettings):
    """Read once, by `up.py`. Raises `pydantic.ValidationError` where a variable is malformed."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    home: Path = Field(Path(".tendril"), description="The directory of all data, logs and credentials.")
    port: int = Field(8080, ge=1, le=65535, description="The gateway's TCP port on 127.0.0.1.")
    edges: int = Field(3, ge=1, le=100, description="How many edge agents to run.")

    cpu: float | None = Field(
        None, gt=0, validation_alias="EDGE_CPU", description="Cores of each edge; else its share of this machine's."
    )
    memory_bytes: int | None = Field(
        None, gt=0, validation_alias="EDGE_MEMORY_BYTES", description="Memory of each edge; else its share."
    )
    power_w: float = Field(37.0, gt=0, validation_alias="EDGE_POWER_W", description="Power of each edge in watts.")


def variable(field: str) -> str:
    """The environment variable that an error about this field of `Settings` is about."""
    return f"{PREFIX}{field.upper()}" if field in Settings.model_fields else field
