"""The tree of the job-scheduling model."""

from datamodel.model import Model
from datamodel.scheduling import groups, planes, scheduler
from datamodel.scheduling.attempts import Attempt
from datamodel.scheduling.chunks import ChunkJudge
from datamodel.scheduling.credentials import Account, Credential, JoinToken, LeafNode
from datamodel.scheduling.edges import DesiredEdge, DesiredSite, Edge, Site
from datamodel.scheduling.groups import JobGroup
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.planes import Config, DesiredConfig, Inventory
from datamodel.scheduling.scheduler import Scheduler
from datamodel.scheduling.schedules import Schedule
from datamodel.scheduling.service import EdgeConfig, SiteConfig

MODEL = Model(
    [
        *(Config, Scheduler, JobGroup, Job, Schedule, SiteConfig, EdgeConfig),
        *(Credential, JoinToken, LeafNode, Account),
        *(DesiredConfig, DesiredSite, DesiredEdge, Attempt),
        *(Inventory, Site, Edge),
    ],
    seeds=[*planes.SEEDS, *scheduler.SEEDS, *groups.SEEDS],
    judge=ChunkJudge,
)
