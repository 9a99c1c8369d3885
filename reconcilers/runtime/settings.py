"""What every program of reconcilers can be told, by environment variables."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FiniteFloat
from pydantic_settings import SettingsConfigDict

from datamodel.feed.access import NatsSettings
from datamodel.lease import LEASE_LIMIT_S


def _directory(path: Path) -> Path:
    try:
        if path.is_dir():
            return path
    except OSError as error:  # the path is too long, or leads through what is no directory
        raise ValueError(error.strerror) from error
    raise ValueError("there is no such directory")


class RuntimeSettings(NatsSettings):
    """Read once, at the start. Times are seconds."""

    model_config = SettingsConfigDict(env_prefix="TENDRIL_", frozen=True, extra="ignore")

    database_url: str = Field(description="postgresql://… of the store")
    lease_ttl_s: FiniteFloat = Field(
        default=5.0, ge=1, le=LEASE_LIMIT_S, description="how long a dead replica's shards stay its own"
    )
    poll_s: FiniteFloat = Field(default=0.1, gt=0, description="how soon a change is seen of which no word came")
    keep_log_days: FiniteFloat | None = Field(
        default=None, ge=0, le=36_500, description="age in days at which the log may be forgotten; without it, none is"
    )
    export_log: Annotated[Path, AfterValidator(_directory)] | None = Field(
        default=None, description="a directory that gets a file of each part of the log before it is forgotten"
    )
