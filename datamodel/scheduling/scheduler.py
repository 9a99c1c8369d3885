"""The Scheduler: how chunks are placed, and the totals of the whole system."""

from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import Column, Kind, Part, Seed
from datamodel.scheduling.forecasts import HORIZON_LIMIT_S
from datamodel.scheduling.planes import CONFIG, Config

SCHEDULER = "/config/scheduler"
FIRST_FIT, BEST_FIT, SPREAD, POWER_AWARE = "firstFit", "bestFit", "spread", "powerAware"
FAIR_SHARE, PRIORITY, ARRIVAL = "fairShare", "priority", "arrival"
AGEING_S = 60.0
HOLD_AFTER_S = 60.0
PRIORITY_DEFAULT = 50
SCHEDULER = "/config/scheduler"


class Preemption(Part):
    """When what runs is stopped for a job that finds no room: its chunks are placed again, and no failure is counted."""

    margin: Annotated[
        int,
        Field(ge=1, le=100, strict=True, description="chunks of jobs whose priority is lower by so much are stopped"),
    ] = 10
    after_s: Annotated[
        float,
        Field(ge=1, le=86_400, allow_inf_nan=False, description="when the job has found no room for so long"),
    ] = 5.0


class SchedulerSpec(Part):
    """How chunks are placed. Both can be changed at any time, and hold for what is placed then."""

    policy: Annotated[
        Literal["firstFit", "bestFit", "spread", "powerAware"],
        Field(
            description="which edge of those that suit and have room: the first by name, the one with the least room, the one"
            " with the most, or the one with the most free watts, where power is cleanest first"
        ),
    ] = "bestFit"
    order: Annotated[
        Literal["fairShare", "priority", "arrival"],
        Field(
            description="whose chunks go next: of the group with the smallest part of what there is for its weight, in it by"
            " priority and age; by priority and age, whatever the group; or of who came first"
        ),
    ] = "fairShare"
    ageing_s: Annotated[
        float,
        Field(
            ge=0, le=86_400, allow_inf_nan=False, description="seconds of waiting that are worth a point of priority"
        ),
    ] = AGEING_S
    hold_after_s: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            allow_inf_nan=False,
            description="when the first job of a group has found no room for so long, room is kept for it",
        ),
    ] = HOLD_AFTER_S
    preemption: Annotated[Preemption | None, Field(description="absent: what runs goes on, whoever waits")] = None
    paused: Annotated[bool, Field(strict=True, description="nothing is placed anywhere")] = False
    forecast_horizon_s: Annotated[
        float | None,
        Field(
            gt=0,
            le=HORIZON_LIMIT_S,
            allow_inf_nan=False,
            description="no more of an edge's power is counted on than the least that it expects within so many seconds;"
            " absent: what it has now",
        ),
    ] = None


class SiteTotals(Part):
    """The edges of a site that are online: those where something is reserved, and the others."""

    busy: int = 0
    free: int = 0


class SchedulerStatus(Part):
    """Totals and rates of the whole system, counted by the stats reconciler. `sites` are the first 500, in order of name."""

    jobs: dict[str, int] = {}
    chunks: dict[str, int] = {}
    edges: dict[str, int] = {}
    sites: dict[str, SiteTotals] = {}
    chunks_per_minute: float = 0.0
    jobs_per_minute: float = 0.0
    power_reserved_w: float = 0.0
    power_capacity_w: float = 0.0


class Scheduler(Kind):
    """The policy and the totals of placement."""

    plane, parent, segment, singleton = CONFIG, Config, "scheduler", True
    Spec = SchedulerSpec
    Status = SchedulerStatus
    columns = (
        Column("policy", "spec.policy"),
        Column("order", "spec.order"),
        Column("chunks/min", "status.chunksPerMinute", "number"),
    )
    examples = (
        {"policy": "bestFit", "order": "fairShare"},
        {"policy": "powerAware", "order": "priority", "ageingS": 10},
    )


SEEDS = (Seed(SCHEDULER, {}),)
