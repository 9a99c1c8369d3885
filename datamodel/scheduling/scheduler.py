"""The Scheduler: how chunks are placed, and the totals of the whole system."""

from typing import Literal

from datamodel.kinds import Column, Kind, Part, Seed
from datamodel.scheduling.planes import CONFIG, Config


class SchedulerSpec(Part):
    """How chunks are placed."""

    policy: Literal["firstFit"] = "firstFit"


class SchedulerStatus(Part):
    """Totals and rates of the whole system, counted by the stats reconciler."""

    jobs: dict[str, int] = {}
    chunks: dict[str, int] = {}
    edges: dict[str, int] = {}
    chunks_per_minute: float = 0.0
    power_reserved_w: float = 0.0
    power_capacity_w: float = 0.0


class Scheduler(Kind):
    """The policy and the totals of placement."""

    plane, parent, segment, singleton = CONFIG, Config, "scheduler", True
    Spec = SchedulerSpec
    Status = SchedulerStatus
    columns = (Column("policy", "spec.policy"), Column("chunks/min", "status.chunksPerMinute", "number"))
    examples = ({"policy": "firstFit"},)


SEEDS = (Seed("/config/scheduler", {}),)
