"""Maintenance windows: when an edge, or a site's edges, take nothing new, once or again and again."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from datamodel.kinds import Part
from datamodel.scheduling.moments import Moment
from datamodel.scheduling.schedules import moments, zone

WINDOWS_LIMIT = 16
DURATION_LIMIT_S = 31 * 86_400.0
NOTICE_LIMIT_S = 7 * 86_400.0

MOVE = "move"
"""What still runs when a window begins goes elsewhere."""


class MaintenanceWindow(Part):
    """A time in which nothing new is placed: once, from `begin` to `end`, or for `durationS` from each moment of a cron
    expression on."""

    begin: Moment | None = None
    end: Moment | None = None
    cron: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=256),
        Field(description="minute, hour, day of the month, month, day of the week, of each beginning"),
    ] = None
    time_zone: Annotated[
        str | None,
        StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"),
        Field(description="an IANA name, as Europe/Berlin; of the fields of `cron`; absent: UTC"),
    ] = None
    duration_s: Annotated[float | None, Field(ge=1, le=DURATION_LIMIT_S, allow_inf_nan=False)] = None
    drain: Annotated[
        Literal["wait", "move"],
        Field(description="wait: what runs goes on; move: what still runs when the window begins goes elsewhere"),
    ] = "wait"
    notice_s: Annotated[
        float | None,
        Field(
            ge=0,
            le=NOTICE_LIMIT_S,
            allow_inf_nan=False,
            description="nothing new is placed from so many seconds before it begins; absent: 0",
        ),
    ] = None

    @field_validator("cron")
    @classmethod
    def _has_moments(cls, cron: str | None) -> str | None:
        if cron is not None and next(moments(cron, datetime(2000, 1, 1, tzinfo=UTC)), None) is None:
            raise ValueError("there is no such moment in fifty years")
        return cron

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is not None:
            zone(name)
        return name

    @model_validator(mode="after")
    def _is_once_or_again(self) -> "MaintenanceWindow":
        if self.begin is None or self.end is None:
            if self.cron is None or self.duration_s is None or self.begin or self.end:
                raise ValueError("a window has either begin and end, or cron and durationS")
            return self
        if self.cron or self.duration_s or self.time_zone:
            raise ValueError("a window that has begin and end comes once, and has no cron, durationS or timeZone")
        if not timedelta(0) < self.end - self.begin <= timedelta(seconds=DURATION_LIMIT_S):
            raise ValueError(f"its end comes after its begin, by {DURATION_LIMIT_S:.0f} seconds at most")
        return self


Windows = Annotated[tuple[MaintenanceWindow, ...] | None, Field(min_length=1, max_length=WINDOWS_LIMIT)]
