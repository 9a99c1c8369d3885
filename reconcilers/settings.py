"""What the reconcilers' program can be told, by environment variables."""

from pydantic import Field, FiniteFloat

from reconcilers.runtime.settings import RuntimeSettings


class Settings(RuntimeSettings):
    """Read once, at the start. Times are seconds."""

    suspect_after_s: FiniteFloat = Field(default=5.0, gt=0, description="silence after which an edge gets nothing new")
    disconnected_after_s: FiniteFloat = Field(
        default=30.0, gt=0, description="silence after which an edge counts as cut off"
    )
    lost_after_s: FiniteFloat = Field(
        default=900.0, gt=0, description="silence after which an edge's chunks go elsewhere"
    )
