"""What must hold in a world at rest, judged by what its parts have, not by what they say."""

from collections.abc import Iterator, Mapping

import msgspec

from datamodel.feed.memory import MemoryStreams
from datamodel.feed.message import decode
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.beginning import is_held, job_path
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import ABORT, ABORTED, FAILED, FINISHED, SUCCEEDED, SUSPEND
from datamodel.scheduling.retrying import ignored
from datamodel.scheduling.service import OPEN
from datamodel.state import State
from sim.world.client import Client
from sim.world.endings import must_fail, wrong
from sim.world.engine import Engine
from sim.world.faults import Memory
from sim.world.hosts import EdgeHost
from sim.world.keys import SITE
from sim.world.receivers import Receivers, undelivered
from sim.world.requests import path_of


def unrest(state: State, client: Client, memory: Memory, engines: Mapping[str, Engine]) -> Iterator[str]:
    """What is still going on."""
    if client.waiting:
        yield f"{client.waiting} requests of the client are not answered"
    for name, wish in client.accepted.items():
        job = state.nodes.get(path_of(name))
        if job is None:
            continue
        if _is_deleted(name, client, memory):
            yield f"{name} is not gone"
        elif job.phase not in FINISHED and not _rests(job, state, client, memory):
            yield f"{name} is {job.phase or 'new'}: {job.spec.get('intent')}, {job.status.get('chunks')}"
        elif job.phase == FAILED and job.generation != job.status.get("observedGeneration", 1):
            yield f"{name} has failed, and nobody has seen what is asked of it since"
        elif waiting := list(undelivered(job)):
            yield f"{name} is to be told yet: {waiting}"
        elif wish.ttl_s is not None and job.phase in FINISHED:
            yield f"{name} is {job.phase}, and is to go"
    for host, engine in engines.items():
        if engine.attempts:
            yield f"{host} has containers of {len(engine.attempts)} attempts: {sorted(engine.attempts)[:3]}"
    for path, node in state.nodes.items():
        if node.kind == "Attempt" and node.phase not in ENDED:
            yield f"{path} is {node.phase or 'new'}, its intent is {node.spec['intent']}"
        elif node.kind == "Edge" and node.phase != "online":
            yield f"{path} is {node.phase}"
        elif node.kind == "Edge" and node.spec["capacity"]["powerW"] != engines[last_name(path)].power.available_w:
            yield f"{path} says that it has {node.spec['capacity']['powerW']} W"
        elif node.kind == "Edge" and node.spec["trouble"]:
            yield f"{path} says that nothing can be started: {node.spec['trouble']}"
        elif node.kind == "Edge" and tuple(node.spec.get("images", ())) != (engines[last_name(path)].images or ()):
            yield f"{path} says that it has the images {node.spec.get('images')}"
        elif node.kind == "Edge" and "forecast" in node.spec:
            yield f"{path} expects {node.spec['forecast']}"
        elif node.kind == "Edge" and "maintenance" in node.status:
            yield f"{path} is in maintenance"
        elif node.kind == "DesiredEdge" and node.spec["cordoned"]:
            yield f"{path} is cordoned"
        elif node.kind == "Job" and "schedule" in node.links and node.phase not in FINISHED:
            yield f"{path} is {node.phase or 'new'}: {node.spec['intent']}, {node.status.get('chunks')}"
        elif node.kind == "Schedule" and (node.status.get("active") or not node.spec["suspended"]):
            yield f"{path} is not at rest: {node.status}"
        elif node.kind == "EdgeConfig" and node.phase != OPEN:
            yield f"{path} is {node.phase or 'new'}"


def lost_or_wrong(state: State, client: Client, memory: Memory) -> Iterator[str]:
    """No accepted job is lost, but with a database that was put back, and each ended as it must."""
    for name, wish in client.accepted.items():
        job = state.nodes.get(path_of(name))
        if _is_deleted(name, client, memory) or path_of(name) in memory.forgotten:
            continue
        if job is None:
            if wish.ttl_s is None:
                yield f"{name} was accepted, and is lost"
            continue
        if _rests(job, state, client, memory):
            continue
        is_aborted = job.spec.get("intent") == ABORT
        retries = wish.retries if is_aborted else job.spec["retries"]  # what was to go on may be aborted before it has
        may_be = {SUCCEEDED: not must_fail(wish), FAILED: True, ABORTED: is_aborted}
        if not may_be.get(job.phase):
            yield f"{name} is {job.phase}: {job.spec.get('intent')}, {job.status}"
        elif job.phase != ABORTED:
            yield from wrong(job, wish, retries, state)


def untold(state: State, client: Client, memory: Memory, receivers: Receivers, *, is_quiet: bool) -> Iterator[str]:
    """Of what jobs reached, whoever was to be told was, or was given up."""
    for name in client.accepted:
        job = state.nodes.get(path_of(name))
        if job is not None and not _is_deleted(name, client, memory):
            yield from receivers.untold(job, is_quiet=is_quiet)


def made_wrong(state: State) -> Iterator[str]:
    """Jobs of schedules succeed, unless others replace them."""
    for path, job in state.nodes.items():
        if job.kind == "Job" and "schedule" in job.links:
            may_be = {SUCCEEDED: True, ABORTED: job.spec["intent"] == ABORT}
            if not may_be.get(job.phase):
                yield f"{path} is {job.phase}: {job.spec['intent']}, {job.status}"


def _is_deleted(name: str, client: Client, memory: Memory) -> bool:
    return name in client.deleted and path_of(name) not in memory.revived


def _rests(job: Node, state: State, client: Client, memory: Memory) -> bool:
    """Whether it is suspended, or waits for one that rests."""
    if _is_suspended(job, client, memory):
        return True
    if job.phase in FINISHED or not is_held(job):
        return False
    sources = (state.nodes.get(job_path(one["job"], job.path)) for one in job.spec.get("after", ()))
    return any(source is not None and _rests(source, state, client, memory) for source in sources)


def _is_suspended(job: Node, client: Client, memory: Memory) -> bool:
    """As it was asked to be, or as it was before a database was put back, which has forgotten what was asked since."""
    was_asked = client.asked.get(last_name(job.path)) == SUSPEND
    return job.spec.get("intent") == SUSPEND and (was_asked or memory.restored)


def unbelievable(state: State, engines: Mapping[str, Engine]) -> Iterator[str]:
    """The containers' own ledger: what is counted ran, and what ran to its end is settled."""
    through: dict[str, set[int]] = {}
    forgiven = {
        last_name(path): ignored(n.spec.get("exitCodes", ())) for path, n in state.nodes.items() if n.kind == "Attempt"
    }
    for engine in engines.values():
        for line in engine.ledger:
            if line.code == 0 or line.code in forgiven.get(line.attempt, ()):
                through.setdefault(line.attempt, set()).add(line.step)
    for entry in state.entries.values():
        if entry.owner in state.totals and entry.phase == SUCCEEDED and last_name(entry.holder) not in through:
            yield f"{entry.holder} is counted as succeeded, and no step of it ran to its end"
    for path, node in state.nodes.items():
        if node.kind == "Attempt" and node.phase == SUCCEEDED:
            missing = set(range(len(node.spec["steps"]))) - through.get(last_name(path), set())
            if missing:
                yield f"{path} has succeeded, and its steps {sorted(missing)} did not"


def not_relayed(state: State, streams: MemoryStreams, epoch: int) -> Iterator[str]:
    """The newest message of each node is its newest version; of what is gone, that it is gone."""
    versions = {path: _version(body) for path, _, body in streams.images(epoch) if path}
    for path, node in state.nodes.items():
        if versions.get(path) != node.version:
            yield f"{path} is at version {node.version}, and relayed at {versions.get(path)}"
    for path, version in versions.items():
        if version is not None and path not in state.nodes:
            yield f"{path} is gone, and relayed at version {version}"


def _version(body: bytes) -> int | None:
    """None for a tombstone."""
    message = decode(body)
    return None if message.deleted else message.version


def stamp(nodes: Mapping[str, Node]) -> bytes:
    """All nodes, as bytes."""
    return msgspec.json.encode([nodes[path] for path in sorted(nodes)])


def unseen(state: State, edges: Mapping[str, EdgeHost]) -> Iterator[str]:
    """What agents believe of their attempts otherwise than it is: a feed, or what makes good what it missed, is broken."""
    above = f"/desired-config/sites/{SITE}/edges/"
    there: dict[str, dict[str, int]] = {name: {} for name in edges}
    for path, node in state.nodes.items():
        if node.kind == "Attempt":
            there.setdefault(place_of(path)[1], {})[path.removeprefix(above)] = node.version
    for name, edge in edges.items():
        known, believed = there[name], edge.comparing.versions if edge.comparing is not None else {}
        for path in sorted(path for path in known.keys() | believed.keys() if known.get(path) != believed.get(path)):
            yield f"{name} believes that {path} is at {believed.get(path)}, and it is at {known.get(path)}"
