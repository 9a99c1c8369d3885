"""What the reconcilers' program can be told, by environment variables."""

from pydantic import Field, FiniteFloat

from datamodel.secrets.opening import RevealingSettings
from reconcilers.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings, RevealingSettings):
    """Read once, at the start. Times are seconds."""

    suspect_after_s: FiniteFloat = Field(default=5.0, gt=0, description="silence after which an edge gets nothing new")
    disconnected_after_s: FiniteFloat = Field(
        default=30.0, gt=0, description="silence after which an edge counts as cut off"
    )
    lost_after_s: FiniteFloat = Field(
        default=900.0, gt=0, description="silence after which an edge's chunks go elsewhere"
    )
    keep_logs_days: FiniteFloat = Field(
        default=7.0, gt=0, le=36_500, description="age in days at which what attempts wrote is forgotten"
    )
    logs_bytes: int = Field(
        default=1024**3, ge=1024**2, description="how much of it is kept in all; of more, the oldest goes"
    )
    keep_artifacts_days: FiniteFloat = Field(
        default=7.0, gt=0, le=36_500, description="age in days at which the files that attempts left are forgotten"
    )
    artifacts_bytes: int = Field(
        default=2 * 1024**3, ge=1024**2, description="how much of them is kept in all; of more, the oldest goes"
    )
