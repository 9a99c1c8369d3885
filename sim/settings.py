"""What the job requester can be told: by environment variables, under the names that its users have always known, or flags."""

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.address import DEFAULT_URL


class Settings(BaseSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    url: str = Field(DEFAULT_URL, validation_alias="TENDRIL_URL", description="the gateway")
    group: str = Field("sim", validation_alias="SIM_GROUP", description="the job group that it works in")
    max_jobs: int = Field(0, ge=0, validation_alias="MAXJOBS", description="jobs in all; 0 goes on until it is stopped")
    min_power: float = Field(
        10.0, gt=0, validation_alias="JOB_MINPOWER", description="least work of a job in watt-seconds"
    )
    max_power: float = Field(
        100.0, gt=0, validation_alias="JOB_MAXPOWER", description="most work of a job in watt-seconds"
    )
    pending: int = Field(5, ge=1, le=10_000, validation_alias="JOB_PENDING", description="jobs to keep waiting")
    max_active: int = Field(
        100, ge=1, le=100_000, validation_alias="MAX_ACTIVE_JOBS", description="jobs that may be unfinished at a time"
    )
    chunks: int = Field(1, ge=1, le=1_000_000, validation_alias="JOB_CHUNKS", description="chunks of each job")
    seed: int | None = Field(
        None, validation_alias="SIM_SEED", description="of the random work; None differs every time"
    )

    @model_validator(mode="after")
    def _range(self) -> "Settings":
        if self.min_power > self.max_power:
            raise ValueError("JOB_MINPOWER is above JOB_MAXPOWER")
        return self
