"""The Scheduler: how chunks are placed, and the totals of the whole system."""

from typing import Literal

from datamodel.kinds import Column, Kind, Part, Seed
from datamodel.scheduling.planes import CONFIG, Config


class SchedulerSpec(Part):
    """How chunks are placed."""

    policy: Literal["firstFit"] = "firstFit"


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
    columns = (Column("policy", "spec.policy"), Column("chunks/min", "status.chunksPerMinute", "number"))
    examples = ({"policy": "firstFit"},)


SEEDS = (Seed("/config/scheduler", {}),)
