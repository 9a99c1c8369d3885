"""What every program of reconcilers can be told, by environment variables."""

from pydantic import Field, FiniteFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

from datamodel.ports import LEASE_LIMIT_S


class RuntimeSettings(BaseSettings):
    """Read once, at the start. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="TENDRIL_", frozen=True, extra="ignore")

    database_url: str = Field(description="postgresql://… of the store")
    nats_url: str = Field(description="nats://… with the reconcilers' credential")
    lease_ttl_s: FiniteFloat = Field(
        default=5.0, ge=1, le=LEASE_LIMIT_S, description="how long a dead replica's shards stay its own"
    )
    poll_s: FiniteFloat = Field(default=0.1, gt=0, description="how soon a change is seen of which no word came")
