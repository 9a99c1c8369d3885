"""What people ask to be run again and again: a schedule makes a job at each of its moments."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, StringConstraints, field_validator

from datamodel.errors import Invalid
from datamodel.kinds import TEMPLATE, Column, Kind, Part
from datamodel.names import check_labels
from datamodel.scheduling.groups import JobGroup
from datamodel.scheduling.jobs import Condition, JobSpec
from datamodel.scheduling.planes import CONFIG

ALLOW, FORBID, REPLACE = "allow", "forbid", "replace"
KEPT_LIMIT = 100
DEADLINE_LIMIT_S = 30 * 86_400.0
ACTIVE_SHOWN = 16
_FIELDS = 5


@lru_cache(maxsize=128)
def zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises `ValueError` where nobody knows it."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, KeyError, ValueError) as error:  # a directory, none, or no path at all
        raise ValueError(f"there is no time zone {name[:80]!r}; names are as Europe/Berlin") from error


def moments(cron: str, at: datetime, *, back: bool = False) -> CronSim:
    """The moments of an expression in the zone of `at`: those after it, or with `back` those before it, the nearest first.
    Raises `ValueError` where it is none, or has no moments."""
    if len(cron.split()) != _FIELDS:
        raise ValueError("a cron expression has five fields: minute, hour, day of the month, month and day of the week")
    try:
        return CronSim(cron, at, reverse=back)
    except CronSimError as error:
        raise ValueError(f"this is no cron expression: {error}") from error


class JobTemplate(JobSpec):
    """A job as `POST /v1/jobs` takes it, without a name and a group."""

    labels: dict[str, str] = {}

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        try:
            check_labels(labels)
        except Invalid as error:
            raise ValueError(error.message) from error
        return labels


class KeepFinished(Part):
    """How many of the jobs that it made and that have ended stay: the newest of each."""

    successful: Annotated[int, Field(ge=0, le=KEPT_LIMIT, strict=True)] = 3
    failed: Annotated[int, Field(ge=0, le=KEPT_LIMIT, strict=True, description="or aborted")] = 3


class ScheduleSpec(Part):
    """When, what, and what happens where one is not over yet."""

    cron: Annotated[
        str,
        StringConstraints(min_length=1, max_length=256),
        Field(description="minute, hour, day of the month, month, day of the week"),
    ]
    time_zone: Annotated[
        str,
        StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"),
        Field(description="an IANA name, as Europe/Berlin; of the fields of `cron`"),
    ] = "UTC"
    job: Annotated[JobTemplate, TEMPLATE]
    concurrency: Annotated[
        Literal["allow", "forbid", "replace"],
        Field(description="where one still runs: both do; the new one is left out; the old one is aborted"),
    ] = "allow"
    suspended: Annotated[bool, Field(strict=True, description="its moments pass, and are not made up for")] = False
    starting_deadline_s: Annotated[
        float | None,
        Field(
            gt=0,
            le=DEADLINE_LIMIT_S,
            allow_inf_nan=False,
            description="how late a moment that was missed may still be started; absent: however late",
        ),
    ] = None
    keep_finished: KeepFinished = KeepFinished()

    @field_validator("cron")
    @classmethod
    def _has_moments(cls, cron: str) -> str:
        if next(moments(cron, datetime(2000, 1, 1, tzinfo=UTC)), None) is None:
            raise ValueError("there is no such moment in fifty years")
        return cron

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        zone(name)
        return name


class MomentCounts(Part):
    """What became of its moments. `skipped`: one still ran. `missed`: it was too late. `refused`: no such job could be made."""

    made: int = 0
    skipped: int = 0
    missed: int = 0
    refused: int = 0


class ScheduleStatus(Part):
    """What it has made, and when it goes on."""

    last_time: datetime | None = None
    """The newest moment that a job was made for."""
    next_time: datetime | None = None
    """Absent while it is suspended."""
    active: int = 0
    """How many of its jobs have not ended."""
    active_jobs: tuple[str, ...] = ()
    """Their names, the newest first; of many, some."""
    counts: MomentCounts = MomentCounts()
    follows: str = ""
    """The expression and zone whose moments it keeps; none while it is suspended."""
    through: datetime | None = None
    """Moments up to here have been dealt with, or were none of those."""
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


class Schedule(Kind):
    """Makes a job at each moment of a cron expression. The jobs stay when it goes."""

    plane, parent, segment = CONFIG, JobGroup, "schedules"
    Spec = ScheduleSpec
    Status = ScheduleStatus
    selectable = ("spec.suspended",)
    columns = (
        Column("cron", "spec.cron"),
        Column("zone", "spec.timeZone"),
        Column("suspended", "spec.suspended"),
        Column("active", "status.active", "number"),
        Column("last", "status.lastTime", "age"),
        Column("next", "status.nextTime"),
    )
    examples = (
        {
            "cron": "30 2 * * *",
            "timeZone": "Europe/Berlin",
            "concurrency": "forbid",
            "job": {
                "chunks": 8,
                "steps": [{"name": "count", "image": "busybox:latest", "script": "echo $CHUNK_INDEX of $CHUNK_COUNT"}],
            },
        },
    )
