"""Placement, told as scripts: `placement/*.txt` has commands and, after `>`, what the planner must decide.

`scheduler policy=… order=…` says how (first fit in order of arrival, where nothing is said), `edge NAME cpu=N [power=N]
[site=S] [carbon=N] [images=I,J] [LABEL=VALUE]` and `gone NAME` change the edges, `group NAME [weight=N] [quota=N] [jobs=N]
[paused=1]` says what a group may have. `job [GROUP/]NAME chunks=N cpu=N [power=N] [rank=N] [room=N] [together=1] [on=RULE]
[best=RULE] [images=I,J] [lie=spread/edges]` submits, `plan [limit]` decides and carries out, `end JOB[CHUNK]` frees its edge,
`fail JOB[CHUNK]` frees it and makes the chunk wait for its next epoch.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import structs

from datamodel.scheduling.placing import ANYWHERE, Rules
from datamodel.scheduling.scheduler import ARRIVAL, FIRST_FIT
from reconcilers.planning.backlog import Arranged, Backlog, Chunk, PendingJob, wanted_of
from reconcilers.planning.fleet import Edge, Fleet
from reconcilers.planning.placement import plan
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Held, Usage

SCRIPTS = sorted((Path(__file__).parent / "placement").glob("*.txt"))

_OF_AN_EDGE = ("cpu", "site", "carbon", "power", "images")
"""Options that are no labels."""


@dataclass
class World:
    """Edges, waiting jobs, and where each running chunk is."""

    order: str = ARRIVAL
    fleet: Fleet = field(default_factory=lambda: Fleet(FIRST_FIT))
    usage: Usage = field(default_factory=Usage)
    groups: dict[str, Terms] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)
    jobs: dict[str, PendingJob] = field(default_factory=dict)
    running: dict[str, tuple[str, Chunk, str]] = field(default_factory=dict)

    def do(self, line: str) -> list[str]:
        command, *words = line.split()
        options = {name: value for name, _, value in (word.partition("=") for word in words) if value}
        match command:
            case "scheduler":
                self.order = options.get("order", self.order)
                self.fleet = Fleet(options.get("policy", self.fleet.policy))
            case "edge":
                self._edge(words[0], options)
            case "gone":
                self.fleet.drop(next(path for path in self.fleet.edges if path.endswith(f"/{words[0]}")))
            case "group":
                quota = {"cpu": int(options["quota"])} if "quota" in options else {}
                jobs = int(options["jobs"]) if "jobs" in options else None
                self.groups[words[0]] = Terms(float(options.get("weight", 1)), quota, jobs, "paused" in options)
            case "job":
                self._submit(words[0], options)
            case "plan":
                return self._plan(int(words[0]) if words else 100)
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
                int(options["chunks"]),
                wanted_of(signature, ANYWHERE if rules == ANYWHERE else rules),
                0,
                rank=float(options.get("rank", 0)),
                room=int(options["room"]) if "room" in options else None,
                arrangement=Arranged(*lie.split("/")) if lie else None,
                together="together" in options,
            )
        )

    def _put(self, job: PendingJob) -> None:
        self.jobs[job.path] = job
        self.backlog.put(job)

    def _plan(self, limit: int) -> list[str]:
        found = plan(self.backlog, self.fleet, self.usage, self.groups, order=self.order, limit=limit)
        self.fleet.know_barren(found.barren)
        said = []
        for decision in found.decisions:
            job, chunk, edge = decision.job, decision.chunk, decision.edge
            name = f"{job.uid}[{chunk.index}]"
            self.usage.add(name, Held(job.path, edge, job.signature))
            self._put(self.jobs[job.path].without([chunk]))
            self.running[name] = (job.path, chunk, edge)
            said.append(f"{name} epoch {chunk.epoch} on {edge.rpartition('/')[2]}")
        said += [f"{one.job.uid} waits: {one.reason}" for one in found.blocked]
        return said or ["nothing"]

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
