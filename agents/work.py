"""From the graph's attempt to the runtime's work."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec.structs import replace

from agents.convergence import Desired
from agents.runtimes.protocol import Artifact, Gpus, Input, Limits, Step, Work
from datamodel.names import last_name
from datamodel.ports import Message
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import PENDING
from datamodel.scheduling.retrying import ignored


class _Requests(msgspec.Struct, rename="camel"):
    cpu: float = 0.0
    memory_bytes: int = 0
    power_w: float = 0.0
    gpus: Gpus | None = None


class _Range(msgspec.Struct):
    first: int
    last: int


class _Rule(msgspec.Struct):
    action: str
    codes: tuple[int, ...] = ()
    ranges: tuple[_Range, ...] = ()


class _Spec(msgspec.Struct, rename="camel"):
    index: Annotated[int, msgspec.Meta(ge=0)]
    count: Annotated[int, msgspec.Meta(ge=1)]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    requests: _Requests
    limits: Limits = Limits()
    network: str = "none"
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    exit_codes: tuple[_Rule, ...] = ()
    work_ws: float = 0.0
    artifacts: tuple[Artifact, ...] = ()
    inputs: tuple[Input, ...] = ()
    array_index: int | None = None
    lease_s: float = 0.0
    intent: str = "run"


class _Status(msgspec.Struct):
    phase: str = PENDING


_spec = msgspec.json.Decoder(_Spec).decode
_status = msgspec.json.Decoder(_Status).decode


def phase_of(message: Message) -> str:
    """How far the hub has an attempt. Raises `wire.UNREADABLE` for what is no attempt."""
    return _status(message.status).phase


def desired_of(message: Message, phase: str, known: Desired | None) -> Desired:
    """What an attempt's message asks of this agent. `phase` is the message's, `known` what an earlier one asked: most
    messages only bring this agent's own reports back, and their spec need not be read again. Raises
    `wire.UNREADABLE` for what is no attempt."""
    if known is not None and known.generation == message.generation and known.uid == message.uid:
        return replace(known, phase=phase)
    spec = _spec(message.spec)
    site, edge = place_of(message.path)
    attempt = last_name(message.path)
    requests = spec.requests
    work = Work(
        site=site,
        edge=edge,
        attempt=attempt,
        steps=_steps(spec),
        env=_chunk_environment(spec, attempt),
        cpu=requests.cpu,
        memory_bytes=requests.memory_bytes,
        power_w=requests.power_w,
        work_ws=spec.work_ws,
        gpus=requests.gpus,
        limits=_of_one_chunk(spec.limits, spec.count),
        network=spec.network,
        artifacts=spec.artifacts,
        inputs=spec.inputs,
        labels=spec.labels,
        annotations=spec.annotations,
        uid=message.uid,
        lease_s=spec.lease_s,
    )
    return Desired(work, spec.intent, phase, message.generation, message.uid)


def _steps(spec: _Spec) -> tuple[Step, ...]:
    """Each with what its job ignores of how it ends."""
    codes = ignored(msgspec.to_builtins(spec.exit_codes))
    return tuple(replace(step, ignored=codes) for step in spec.steps) if codes else spec.steps


def _of_one_chunk(limits: Limits, count: int) -> Limits:
    whole = limits.artifacts_bytes
    return limits if whole is None else replace(limits, artifacts_bytes=whole // count)


def _chunk_environment(spec: _Spec, attempt: str) -> dict[str, str]:
    """What every step sees of its chunk: which one it is, of how many, its share of the whole, and which try at it this is."""
    env = {
        "CHUNK_INDEX": str(spec.index),
        "CHUNK_COUNT": str(spec.count),
        "CHUNK_SHARE": repr(1 / spec.count),
        "CHUNK_WORK_WS": repr(spec.work_ws),
        "CHUNK_EPOCH": attempt.rpartition("-")[2],
        "ATTEMPT": attempt,
    }
    return env if spec.array_index is None else {**env, "ARRAY_INDEX": str(spec.array_index)}
