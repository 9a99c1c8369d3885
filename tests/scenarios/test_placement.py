"""Placement, told as scripts: `placement/*.txt` has commands and, after `>`, what the planner must decide.

`edge NAME cpu=N` and `gone NAME` change the edges, `job NAME chunks=N cpu=N` submits, `plan [limit]` decides and carries out,
`end JOB[CHUNK]` frees its edge, `fail JOB[CHUNK]` frees it and makes the chunk wait for its next epoch.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from reconcilers.planning.backlog import Backlog, Chunk, PendingJob
from reconcilers.planning.placement import FreeEdge, plan

SCRIPTS = sorted((Path(__file__).parent / "placement").glob("*.txt"))


@dataclass
class World:
    """Edges, waiting jobs, and where each running chunk is."""

    edges: dict[str, FreeEdge] = field(default_factory=dict)
    backlog: Backlog = field(default_factory=Backlog)
    jobs: dict[str, PendingJob] = field(default_factory=dict)
    running: dict[str, tuple[str, Chunk, str]] = field(default_factory=dict)

    def do(self, line: str) -> list[str]:
        command, *words = line.split()
        options = {name: int(value) for name, _, value in (word.partition("=") for word in words) if value}
        match command:
            case "edge":
                self.edges[words[0]] = FreeEdge(words[0], {"cpu": options["cpu"]})
            case "gone":
                del self.edges[words[0]]
            case "job":
                self._submit(words[0], options["chunks"], options["cpu"])
            case "plan":
                return self._plan(int(words[0]) if words else 100)
            case "end" | "fail":
                self._free(words[0], again=command == "fail")
            case _:
                raise AssertionError(f"no such command: {line}")
        return []

    def _submit(self, name: str, chunks: int, cpu: int) -> None:
        spec = {"chunks": chunks, "steps": [], "requests": {}, "retries": 1, "workWs": 0.0}
        self._put(PendingJob(name, name, len(self.jobs) + 1, spec, (("cpu", cpu),), next_index=0))

    def _put(self, job: PendingJob) -> None:
        self.jobs[job.path] = job
        self.backlog.put(job)

    def _plan(self, limit: int) -> list[str]:
        decided = plan(self.backlog, [self.edges[name] for name in sorted(self.edges)], limit)
        said = []
        for decision in decided:
            job, chunk, edge = decision.job.path, decision.chunk, decision.edge
            self._take(edge, -dict(decision.job.signature)["cpu"])
            self._put(self.jobs[job].without([chunk]))
            self.running[f"{job}[{chunk.index}]"] = (job, chunk, edge)
            said.append(f"{job}[{chunk.index}] epoch {chunk.epoch} on {edge}")
        return said or ["nothing"]

    def _free(self, name: str, *, again: bool) -> None:
        path, chunk, edge = self.running.pop(name)
        job = self.jobs[path]
        self._take(edge, dict(job.signature)["cpu"])
        if again:
            self._put(replace(job, retries=(*job.retries, Chunk(chunk.index, chunk.epoch + 1))))

    def _take(self, edge: str, cpu: int) -> None:
        if edge in self.edges:
            self.edges[edge] = FreeEdge(edge, {"cpu": self.edges[edge].free["cpu"] + cpu})


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
