"""What the gateway can be told, by environment variables."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from datamodel.feed.access import NatsSettings
from datamodel.secrets.opening import KeepingSettings

Front = Literal["hades", "jobscheduler", "nexus"]
FRONTS: frozenset[Front] = frozenset({"hades", "jobscheduler", "nexus"})
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""As browsers send them: in small letters, and without what comes after the port."""


class Settings(KeepingSettings, NatsSettings):
    """Read once, at the start."""

    model_config = SettingsConfigDict(env_prefix="TENDRIL_", frozen=True, extra="ignore")

    database_url: str = Field(description="postgresql://… of the store")
    host: str = Field(default="127.0.0.1", description="the loopback address to serve on")
    port: int = Field(default=8080, ge=0, le=65535, description="the TCP port to serve on; 0 lets the system choose")
    fronts: Annotated[frozenset[Front], NoDecode] = Field(
        default=FRONTS, description="the front ends of other systems that are served, with commas between"
    )
    origins: Annotated[frozenset[str], NoDecode] = Field(
        default=frozenset(),
        description="the origins of web pages that may use the API, with commas between; none else may",
    )

    @field_validator("origins")
    @classmethod
    def _origins_only(cls, origins: frozenset[str]) -> frozenset[str]:
        for origin in sorted(origins):
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(
                    f"{origin!r} is no origin: one is a scheme, a host and a port, as https://pages.example:8443"
                )
        return origins

    @field_validator("fronts", "origins", mode="before")
    @classmethod
    def _split(cls, listed: object) -> object:
        if not isinstance(listed, str):
            return listed
        return frozenset(word for part in listed.split(",") if (word := part.strip()))

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, host: str) -> str:
        if host != "localhost" and not _is_loopback(host):
            raise ValueError(
                f"{host!r} is no loopback address. Nobody is authenticated yet, and whoever reaches the gateway runs code:"
                " serve on 127.0.0.1, ::1 or localhost"
            )
        return host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
