"""From the graph's attempt to the runtime's work."""

from typing import Any

import msgspec

from agents.convergence import Desired
from agents.runtimes.protocol import Step, Work
from datamodel.names import last_name
from datamodel.ports import Message
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import PENDING


class _Step(msgspec.Struct):
    name: str
    image: str
    script: str | None = None
    command: tuple[str, ...] = ()
    env: dict[str, str] = {}


class _Requests(msgspec.Struct, rename="camel"):
    cpu: float = 0.0
    memory_bytes: int = 0
    power_w: float = 0.0


class _Spec(msgspec.Struct, rename="camel"):
    index: int
    count: int
    steps: tuple[_Step, ...]
    requests: _Requests
    work_ws: float = 0.0
    intent: str = "run"


class _Status(msgspec.Struct):
    phase: str = PENDING


_spec = msgspec.json.Decoder(_Spec).decode
_status = msgspec.json.Decoder(_Status).decode


def desired_of(message: Message) -> Desired:
    """What an attempt's message asks of this agent. Raises `msgspec.ValidationError` for what is no attempt."""
    spec, status = _spec(message.spec), _status(message.status)
    site, edge = place_of(message.path)
    work = Work(
        site=site,
        edge=edge,
        attempt=last_name(message.path),
        steps=tuple(Step(step.name, step.image, step.script, step.command, step.env) for step in spec.steps),
        env=_chunk_environment(spec),
        cpu=spec.requests.cpu,
        memory_bytes=spec.requests.memory_bytes,
        power_w=spec.requests.power_w,
        work_ws=spec.work_ws,
    )
    return Desired(work, spec.intent, status.phase)


def _chunk_environment(spec: _Spec) -> dict[str, Any]:
    """What every step sees of its chunk: which one it is, of how many, and its share of the whole."""
    return {
        "CHUNK_INDEX": str(spec.index),
        "CHUNK_COUNT": str(spec.count),
        "CHUNK_SHARE": repr(1 / spec.count),
    }
