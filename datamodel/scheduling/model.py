"""The tree of the job-scheduling model."""

from datamodel.model import Model
from datamodel.scheduling import edges, jobs
from datamodel.scheduling.attempts import Attempt
from datamodel.scheduling.chunks import ChunkJudge
from datamodel.scheduling.edges import DesiredEdge, DesiredSite, Edge, Site
from datamodel.scheduling.jobs import Job, JobGroup, Scheduler
from datamodel.scheduling.planes import Config, DesiredConfig, Inventory

MODEL = Model(
    [Config, Scheduler, JobGroup, Job, DesiredConfig, DesiredSite, DesiredEdge, Attempt, Inventory, Site, Edge],
    seeds=[*jobs.SEEDS, *edges.SEEDS],
    judge=ChunkJudge,
)
