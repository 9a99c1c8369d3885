"""What the reconcilers' program can be told, by environment variables."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, FiniteFloat

from datamodel.secrets.opening import RevealingSettings
from reconcilers.calling.exposure import Exposure, allowed_in, ports_in
from reconcilers.planning.callbacks import Terms
from reconcilers.runtime.settings import RuntimeSettings


def _allowed(text: str) -> str:
    allowed_in(text)
    return text


def _ports(text: str) -> str:
    ports_in(text)
    return text


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
    callbacks_allow: Annotated[str, AfterValidator(_allowed)] = Field(
        default="",
        description="networks (CIDR) and names of hosts (also *.example.org), with commas, that callbacks may reach though "
        "they are private",
    )
    callbacks_http: bool = Field(default=False, description="whether callbacks may be sent without TLS")
    callbacks_ports: Annotated[str, AfterValidator(_ports)] = Field(
        default="80,443", description="ports that callbacks may be sent to, and ranges of them"
    )
    callbacks_timeout_s: FiniteFloat = Field(default=10.0, gt=0, le=60, description="for each attempt at a callback")
    callbacks_attempts: int = Field(default=30, ge=1, le=100, description="after which a callback is given up")
    callbacks_give_up_s: FiniteFloat = Field(
        default=86_400.0, ge=0, le=30 * 86_400, description="after which a callback is given up"
    )

    nats_authority: Path | None = Field(
        default=None, description="the file of keys that credentials are signed with; without it, none are"
    )

    def exposure(self) -> Exposure:
        """What callbacks may reach."""
        networks, names = allowed_in(self.callbacks_allow)
        return Exposure(networks, names, self.callbacks_http, ports_in(self.callbacks_ports))

    def terms(self) -> Terms:
        """How long callbacks are tried."""
        return Terms(self.callbacks_attempts, self.callbacks_give_up_s)
