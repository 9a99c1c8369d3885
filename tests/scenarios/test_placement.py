"""Placement, told as scripts: `placement/*.txt` has commands and, after `>`, what the planner must decide.

`scheduler policy=… order=… [preempt=N]` says how (first fit in order of arrival, where nothing is said), `edge NAME cpu=N
[power=N] [site=S] [carbon=N] [images=I,J] [LABEL=VALUE]` and `gone NAME` change the edges, `group NAME [weight=N] [quota=N]
[jobs=N] [paused=1]` says what a group may have. `job [GROUP/]NAME chunks=N cpu=N [power=N] [rank=N] [priority=N] [room=N]
[together=1] [on=RULE] [best=RULE] [images=I,J] [lie=spread/edges]` submits, with `most=N` for `chunks=N` a job that is to be
split, `plan [limit]` decides and carries out, and keeps and makes room, `wait SECONDS` lets time pass, `end JOB[CHUNK]` frees
its edge, `fail JOB[CHUNK]` frees it and makes the chunk wait for its next epoch. `cordon NAME` keeps an edge from what is new,
and `why [GROUP/]NAME` asks why nothing more of a job is placed, and what goes before it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import structs

from datamodel.scheduling.answers import Tally
from datamodel.scheduling.fitting import CORDONED, Hindrance
from datamodel.scheduling.placing import ANYWHERE, Rules
from datamodel.scheduling.queueing import Group, Queued, ahead_of
from datamodel.scheduling.scheduler import ARRIVAL, FIRST_FIT, PRIORITY_DEFAULT
from datamodel.scheduling.waiting import why
from reconcilers.planning.backlog import Arranged, Backlog, Chunk, PendingJob, wanted_of
from reconcilers.planning.decisions import Plan
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.holds import Waiting, keep_room, unhelped
from reconcilers.planning.placement import plan
from reconcilers.planning.preemption import clearing
from reconcilers.planning.reasons import asked_of, standing_of
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Held, Usage
from reconcilers.planning.views import Edge

SCRIPTS = sorted((Path(__file__).parent / "placement").glob("*.txt"))

_OF_AN_EDGE = ("cpu", "site", "carbon", "power", "images")
"""Options that are no labels."""


@dataclass
class World:
    """Edges, waiting jobs, and where each running chunk is."""

    order: str = ARRIVAL
    fleet: Fleet = field(default_factory=lambda: Fleet(FIRST_FIT))
    usage: Usage = field(default_factory=Usage)
    terms: dict[str, Terms] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)
    jobs: dict[str, PendingJob] = field(default_factory=dict)
    running: dict[str, tuple[str, Chunk, str]] = field(default_factory=dict)
    waiting: Waiting = field(default_factory=Waiting)
    now_s: float = 0.0
    hold_after_s: float = 2.0
    margin: int | None = None
    barred: dict[str, Hindrance] = field(default_factory=dict)

    def do(self, line: str) -> list[str]:
        command, *words = line.split()
        options = {name: value for name, _, value in (word.partition("=") for word in words) if value}
        match command:
            case "scheduler":
                self.order = options.get("order", self.order)
                self.fleet = Fleet(options.get("policy", self.fleet.policy))
                self.margin = int(options["preempt"]) if "preempt" in options else None
            case "wait":
                self.now_s += float(words[0])
            case "edge":
                self._edge(words[0], options)
            case "gone":
                self.fleet.drop(next(path for path in self.fleet.edges if path.endswith(f"/{words[0]}")))
            case "group":
                quota = {"cpu": int(options["quota"])} if "quota" in options else {}
                jobs = int(options["jobs"]) if "jobs" in options else None
                self.terms[words[0]] = Terms(float(options.get("weight", 1)), quota, jobs, "paused" in options)
            case "job":
                self._submit(words[0], options)
            case "plan":
                return self._plan(int(words[0]) if words else 100)
            case "cordon":
                self.barred[words[0]] = Hindrance(CORDONED, "is cordoned")
                return self.do(f"gone {words[0]}")
            case "why":
                return [self._why(words[0])]
            case "end" | "fail":
                self._free(words[0], again=command == "fail")
            case _:
                raise AssertionError(f"no such command: {line}")
        return []

    def _edge(self, name: str, options: dict[str, str]) -> None:
        site = options.get("site", "s")
        labels = {key: value for key, value in options.items() if key not in _OF_AN_EDGE}
        known = {"tendril/site": site, "tendril/edge": name, "tendril/runtime": "docker", **labels}
        has = {"cpu": int(options["cpu"])}
        if "power" in options:
            has["power"] = int(options["power"])
        carbon = float(options["carbon"]) if "carbon" in options else None
        images = frozenset(options["images"].split(",")) if "images" in options else frozenset[str]()
        self.fleet.put(Edge(f"/desired-config/sites/{site}/edges/{name}", site, known, has, carbon, images), has)

    def _submit(self, name: str, options: dict[str, str]) -> None:
        group, _, short = name.rpartition("/")
        lie = options.get("lie")
        rules = Rules(
            required=options.get("on", ""),
            preferred=((options["best"], 1),) if "best" in options else (),
            images=tuple(options["images"].split(",")) if "images" in options else (),
        )
        signature = tuple((key, int(options[key])) for key in ("cpu", "power") if key in options)
        self._put(
            PendingJob(
                f"/config/job-groups/{group or 'default'}/jobs/{short}",
                short,
                len(self.jobs) + 1,
                int(options.get("chunks", 1)),
                wanted_of(signature, ANYWHERE if rules == ANYWHERE else rules),
                0,
                rank=float(options.get("rank", 0)),
                room=int(options["room"]) if "room" in options else None,
                arrangement=Arranged(*lie.split("/")) if lie else None,
                together="together" in options,
                priority=int(options.get("priority", PRIORITY_DEFAULT)),
                most=int(options["most"]) if "most" in options else None,
            )
        )

    def _put(self, job: PendingJob) -> None:
        self.jobs[job.path] = job
        self.backlog.put(job)

    def _plan(self, limit: int) -> list[str]:
        found = plan(self.backlog, self.fleet, self.usage, self.terms, order=self.order, limit=limit)
        self.fleet.know_barren(found.barren)
        for asker, left in found.served.items():
            self.fleet.forget(asker, left)
        said = []
        for decision in found.decisions:
            job, chunk, edge = decision.job, decision.chunk, decision.edge
            name = f"{job.uid}[{chunk.index}]"
            self.usage.add(name, Held(job.path, edge, job.signature, job.priority))
            if self.jobs[job.path].most is not None:
                self._put(job.settled())
                said.append(f"{job.uid} has {job.count} chunks")
            self._put(self.jobs[job.path].without([chunk]))
            self.running[name] = (job.path, chunk, edge)
            said.append(f"{name} epoch {chunk.epoch} on {edge.rpartition('/')[2]}")
        said += [f"{one.job.uid} waits: {one.reason}" for one in found.blocked]
        known = set(self.fleet.holds)
        keep_room(found, found.decisions, self.waiting, self, self.now_s)
        stopped = self._preempt(found) if self.margin is not None else []
        for one in found.blocked:
            if (asker := one.job.asker) in self.fleet.holds.keys() - known:
                spots = sorted(path.rpartition("/")[2] for path in self.fleet.holds[asker].spots)
                said.append(f"room is kept for {one.job.uid} on {' '.join(spots)}")
        return [*said, *stopped] or ["nothing"]

    def _preempt(self, found: Plan) -> list[str]:
        said = []
        for job in unhelped(found.blocked, self.fleet):
            made = clearing(job, None, self.fleet, self.usage, self.margin or 0)
            if made is not None:
                self.fleet.hold(job.asker, made.hold)
                for victim in made.victims:
                    said.append(f"{victim} is stopped for {job.uid}")
                    self.usage.remove(victim)
        return said

    def _why(self, name: str) -> str:
        """As the job's condition says it, and the place in the queue as `explain` does."""
        group, _, short = name.rpartition("/")
        job = self.jobs[f"/config/job-groups/{group or 'default'}/jobs/{short}"]
        tally = Tally(asked_of(job, self.usage))
        for path, edge in self.fleet.edges.items():
            tally.ask(path, edge.labels, edge.capacity, self.fleet.free(path))
        for edge_name, stands in self.barred.items():
            tally.bar(f"/desired-config/sites/s/edges/{edge_name}", stands)
        standing = standing_of(job, self.terms.get(job.group, Terms()), self.usage, paused=False)
        reason, message = why(standing, tally.edges, tally.rooms)
        waiting = [
            Queued(one.path, one.group, one.place, one.waiting, one.signature)
            for one in self.jobs.values()
            if one.waiting
        ]
        mine = Queued(job.path, job.group, job.place, job.waiting, job.signature)
        terms = {
            name: Group(self.usage.of_group(name), self.terms.get(name, Terms()).weight) for name in self.backlog.lines
        }
        ahead = ahead_of(mine, waiting, terms, self.fleet.capacity, self.order, at_least=False)
        return f"{reason}: {message}; before it: {ahead.chunks} chunks of {ahead.jobs} jobs"

    def _free(self, name: str, *, again: bool) -> None:
        path, chunk, edge = self.running.pop(name)
        job = self.jobs[path]
        self.usage.remove(name)
        if edge in self.fleet.edges:
            self.fleet.set_free(edge, {name: self.fleet.free(edge)[name] + amount for name, amount in job.signature})
        room = None if job.room is None else job.room + 1
        retries = (*job.retries, Chunk(chunk.index, chunk.epoch + 1)) if again else job.retries
        self._put(structs.replace(job, retries=retries, room=room))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_script_holds(script: Path) -> None:
    world, told = World(), []
    for line in script.read_text().splitlines():
        if line.startswith(">"):
            continue
        told.append(line)
        if line and not line.startswith("#"):
            told += [f"> {said}" for said in world.do(line)]
    assert "\n".join(told) + "\n" == re.sub(r"[ \t]+\n", "\n", script.read_text())
