"""What every program of reconcilers can be told, by environment variables."""

from pydantic import DirectoryPath, Field, FiniteFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

from datamodel.lease import LEASE_LIMIT_S


class RuntimeSettings(BaseSettings):
    """Read once, at the start. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="TENDRIL_", frozen=True, extra="ignore")

    database_url: str = Field(description="postgresql://… of the store")
    nats_url: str = Field(description="nats://… with the reconcilers' credential")
    lease_ttl_s: FiniteFloat = Field(
        default=5.0, ge=1, le=LEASE_LIMIT_S, description="how long a dead replica's shards stay its own"
    )
    poll_s: FiniteFloat = Field(default=0.1, gt=0, description="how soon a change is seen of which no word came")
    keep_log_days: FiniteFloat | None = Field(
        default=None, ge=0, le=36_500, description="age in days at which the log may be forgotten; without it, none is"
    )
    export_log: DirectoryPath | None = Field(
        default=None, description="a directory that gets a file of each part of the log before it is forgotten"
    )
