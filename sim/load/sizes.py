"""How large the jobs are: most have one chunk, some ten, and a few two hundred."""

import random
from dataclasses import dataclass
from typing import Any

MIX = {1: 0.90, 10: 0.09, 200: 0.01}
"""Share of the jobs by their number of chunks: 3.8 chunks a job on average, of which the few large jobs have half."""
LONGEST = 8.0
"""The most work of a chunk, in means: an exponential tail has no end of its own."""


@dataclass(frozen=True, slots=True)
class Size:
    """One job's. `work_ws` is the whole job's work in watt-seconds."""

    chunks: int
    work_ws: float


class Sizes:
    """Sizes in the order of their jobs, from a seed. A job's work for each of its chunks is exponentially distributed."""

    def __init__(self, seed: int, mean_chunk_ws: float) -> None:
        self._chance = random.Random(f"{seed}/sizes")  # noqa: S311 - a load, not a secret
        self._mean_chunk_ws = mean_chunk_ws

    def draw(self) -> Size:
        (chunks,) = self._chance.choices([*MIX], [*MIX.values()])
        chunk_ws = min(self._chance.expovariate(1.0), LONGEST) * self._mean_chunk_ws
        return Size(chunks, round(chunks * chunk_ws, 3))


def document(name: str, group: str, run: str, size: Size) -> dict[str, Any]:
    """The job as the API takes it. Simulated edges drain its watt-seconds and spend no CPU on it."""
    return {
        "name": name,
        "group": group,
        "labels": {"load-run": run},
        "chunks": size.chunks,
        "workWs": size.work_ws,
        "requests": {"cpu": 0.1, "memoryBytes": 1_048_576, "powerW": 1},
        "steps": [{"name": "work", "image": "busybox:latest", "command": ["true"]}],
    }
