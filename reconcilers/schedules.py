"""schedules: moments of schedules that have come → their jobs; and those that are replaced or kept no longer end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit, raise_refused
from datamodel.errors import Conflict, Invalid, NotFound
from datamodel.kinds import SYSTEM, Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.beginning import job_path
from datamodel.scheduling.jobs import ABORT, FINISHED
from reconcilers.planning.schedules import Look, is_named_by, job_name, look, status_of
from reconcilers.runtime.controller import Wake, Watch

PAGE = 500
ACTOR = Actor("schedules", SYSTEM)


class Schedules:
    """Makes jobs at their moments, each once: the job and that its moment is dealt with are written together. The key is the
    schedule's path."""

    name = "schedules"
    shards = 1
    resync_s = 60.0

    def __init__(self, store: Store, appender: Appender, reads: Reads, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._clock = clock
        self._paths: dict[str, str] = {}
        """By uid, the schedules that are known here: what is missing the resync adds."""
        self._made: dict[str, str] = {}
        """By path, whose the jobs are that have not ended: what is gone says so no more."""

    @property
    def watches(self) -> Mapping[str, Watch]:
        return {"Schedule": self._on_schedule, "Job": self._on_job}

    async def keys(self) -> list[str]:
        paths: dict[str, str] = {}
        after = ""
        while schedules := await self._store.list_nodes("Schedule", after=after, limit=PAGE):
            paths.update((schedule.uid, schedule.path) for schedule in schedules)
            after = schedules[-1].path
        self._paths = paths
        there = set(paths.values())
        self._made = {job: schedule for job, schedule in self._made.items() if schedule in there}
        return sorted(there)

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        schedule = await self._reads.node(key)
        if schedule is None or schedule.deletion_requested_at is not None:
            return None
        self._paths[schedule.uid] = key
        jobs, now = await self._jobs(schedule), self._clock()
        found = look(schedule, jobs, now)
        self._made.update((job.path, key) for job in found.active)
        if found.became == "made" and found.due is not None:
            await self._make(schedule, found, found.due, now, fence)
        else:
            await self._tell(schedule, status_of(schedule, found, now), fence)
        await self._remove(found.superfluous, fence)
        return max(0.0, (found.next_time - now).total_seconds()) if found.next_time is not None else None

    async def _jobs(self, schedule: Node) -> list[Node]:
        """Those that it has made. Others may name it in their link."""
        found: list[Node] = []
        after = ""
        while jobs := await self._store.linked("Job", "schedule", schedule.uid, after=after, limit=PAGE):
            found.extend(job for job in jobs if is_named_by(schedule, job))
            after = jobs[-1].path
        return found

    async def _make(self, schedule: Node, found: Look, due: datetime, now: datetime, fence: Fence) -> None:
        """All of it or nothing: so a moment is never dealt with twice, nor one forgotten. Where no such job can be made, its
        moment is over nevertheless."""
        spec = dict(schedule.spec["job"])
        labels, name = spec.pop("labels"), job_name(schedule, due)
        path = job_path(f"{last_name(schedule.path.rpartition('/schedules/')[0])}/{name}", schedule.path)
        create = Command("create", path, spec, labels or None, {"schedule": (schedule.path,)})
        aborts = [
            Command("patchSpec", job.path, {"intent": ABORT}, expected_version=job.version) for job in found.replaced
        ]
        tell = _telling(schedule, status_of(schedule, found, now))
        unit = Unit((create, *aborts, tell), ACTOR, correlation=schedule.correlation, fence=fence)
        try:
            outcome = await self._appender.append(unit)
            refused = outcome[0].error
        except Invalid as error:
            outcome, refused = (), error
        if isinstance(refused, Invalid) or (isinstance(refused, Conflict) and refused.field == "/metadata/name"):
            await self._tell(schedule, status_of(schedule, found, now, refused=refused.message), fence)
            return
        raise_refused(outcome)
        self._made[path] = schedule.path

    async def _tell(self, schedule: Node, status: Document, fence: Fence) -> None:
        if any(schedule.status.get(name) != value for name, value in status.items()):
            await self._appender.write(Unit((_telling(schedule, status),), ACTOR, fence=fence))

    async def _remove(self, jobs: Sequence[Node], fence: Fence) -> None:
        """What has changed meanwhile, as by being tried again, stays, and wakes."""
        commands = tuple(Command("delete", job.path, expected_version=job.version) for job in jobs)
        if commands:
            outcome = await self._appender.append(Unit(commands, ACTOR, atomic=False, fence=fence))
            raise_refused(tuple(one for one in outcome if not isinstance(one.error, Conflict | NotFound)))

    def _on_schedule(self, change: Change) -> Iterable[Wake]:
        """Its own words about one say nothing new to it."""
        schedule = change.node
        if schedule is None or schedule.generation == schedule.status.get("observedGeneration"):
            return ()
        return (Wake(change.path),)

    def _on_job(self, change: Change) -> Iterable[Wake]:
        """One that has ended, or is tried again after it had."""
        job = change.node
        if job is None:
            whose = self._made.pop(change.path, None)
        else:
            whose = next((self._paths[uid] for uid in job.links.get("schedule", ()) if uid in self._paths), None)
            if job.phase in FINISHED:
                self._made.pop(change.path, None)
            elif job.generation == 1 and change.path in self._made:
                whose = None
        return (Wake(whose),) if whose is not None else ()


def _telling(schedule: Node, status: Document) -> Command:
    return Command("patchStatus", schedule.path, status, expected_version=schedule.version)
