"""What is told of why a job is as it is, and all of it in a sentence."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from datamodel.node import Node
from datamodel.scheduling.answers import EdgesThat, why_waiting
from datamodel.scheduling.attempts import PLACED
from datamodel.scheduling.beginning import is_held
from datamodel.scheduling.callbacks import GIVEN_UP
from datamodel.scheduling.changing import Change
from datamodel.scheduling.ending import is_ending
from datamodel.scheduling.giving_up import WHY_GIVEN_UP
from datamodel.scheduling.jobs import ABORT, ABORTED, FAILED, RUN, RUNNING, SUCCEEDED, SUSPEND
from datamodel.scheduling.queueing import Ahead
from datamodel.scheduling.splitting import chunks_at_most, chunks_of, is_split
from datamodel.scheduling.starting import Start
from datamodel.scheduling.waiting import CONDITION, NO_EDGE, NO_ROOM, QUEUED, Reason


class FailedChunk(msgspec.Struct, frozen=True, rename="camel"):
    """A chunk that has failed, with its own index in the set that its job names, if that names one; whether it is tried again,
    and from when on, where that is not at once; the reason and message of its newest attempt, where that is kept still. One
    that its edge has given up is told in the same way, with no failure where it never failed."""

    index: int
    failures: int
    goes_on: bool
    site: str
    edge: str
    reason: str = ""
    message: str = ""
    exit_codes: tuple[int, ...] = ()
    again_at: str = ""
    array_index: int | None = None


class Unheard(msgspec.Struct, frozen=True, rename="camel"):
    """An edge with chunks in flight that is not online, and since when."""

    site: str
    edge: str
    phase: str
    since: str
    chunks: int


class PlacedChunk(msgspec.Struct, frozen=True, rename="camel"):
    """A chunk in flight: where it was placed, when, and why there and then."""

    index: int
    site: str
    edge: str
    since: str
    why: str


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """Why a job is as it is. `edges` is empty where nothing waits for one, or nothing is to run; elsewhere `reason` says in a
    word why nothing more is placed, `queue` what goes before it, `changes` what would have to be otherwise, all of it, and
    `start` when the next chunk may be placed. `placed` are ten chunks in flight."""

    path: str
    phase: str
    intent: str
    summary: str
    chunks: dict[str, int]
    edges: list[EdgesThat]
    failures: list[FailedChunk]
    unheard: list[Unheard]
    reason: str = ""
    queue: Ahead | None = None
    changes: list[Change] = []
    start: Start | None = None
    placed: list[PlacedChunk] = []


def summary(
    job: Node,
    counts: Mapping[str, int],
    reason: Reason | None,
    edges: Sequence[EdgesThat],
    failures: Sequence[FailedChunk],
    unheard: Sequence[Unheard],
) -> str:
    """All of it in a sentence, and in another one whom nobody could tell of it."""
    told = _of_the_job(job, counts, reason, edges, failures, unheard)
    return f"{told}; {untold}" if (untold := _untold(job)) else told


def _of_the_job(
    job: Node,
    counts: Mapping[str, int],
    reason: Reason | None,
    edges: Sequence[EdgesThat],
    failures: Sequence[FailedChunk],
    unheard: Sequence[Unheard],
) -> str:
    chunks, intent = chunks_of(job), job.spec.get("intent", RUN)
    in_flight = counts.get(PLACED, 0) + counts.get(RUNNING, 0)
    if job.deletion_requested_at is not None:
        return f"it is being deleted, and {_in_flight(counts, unheard)}"
    if job.phase == SUCCEEDED:
        return _how_succeeded(job, counts)
    if job.phase == ABORTED:
        return f"it was aborted, with {counts.get(SUCCEEDED, 0)} of its {chunks} chunks succeeded"
    if job.phase == FAILED:
        return f"it has failed: {_why_failed(job, failures)}"
    if intent == ABORT:
        return f"it is being aborted, and {_in_flight(counts, unheard)}"
    if is_ending(job):
        return f"it ends as {job.status['ending']['phase']}, and {_in_flight(counts, unheard)}: {_told(job)}"
    if intent == SUSPEND:
        return f"it is suspended, and {_in_flight(counts, unheard)}"
    if (others := waits_for(job)) is not None:
        return others
    waiting = counts.get("pending", 0) + counts.get("retrying", 0)
    if waiting and not is_split(job):
        return f"it waits to be split into {chunks_at_most(job)} chunks at most: {why_waiting(edges)}"
    if waiting:
        told = f"{waiting} of its {chunks} chunks wait: {_why(job, counts, reason, edges, failures)}"
        told += _given_up(failures)
        return f"{told}; {_in_flight(counts, unheard)}" if in_flight else told
    return _in_flight(counts, unheard) if in_flight else "all of its chunks have ended, and its status follows"


def _given_up(chunks: Sequence[FailedChunk]) -> str:
    """Of those that wait since their edge gave them up: the first one."""
    for chunk in chunks:
        if chunk.goes_on and chunk.reason in WHY_GIVEN_UP:
            return f"; chunk {chunk.index} was taken from {chunk.site}/{chunk.edge}: {WHY_GIVEN_UP[chunk.reason]}"
    return ""


def _in_flight(counts: Mapping[str, int], unheard: Sequence[Unheard]) -> str:
    running, placed = counts.get(RUNNING, 0), counts.get(PLACED, 0)
    told = f"{running} of its chunks run"
    if placed:
        told += f", {placed} placed and not begun"
    if unheard:
        away = sum(edge.chunks for edge in unheard)
        told += f"; {away} where nothing is heard of, as {_named(unheard[0])}: it is {unheard[0].phase}"
    return told


def _untold(job: Node) -> str:
    """Of the callback that was not reached last."""
    for notice in reversed(job.status.get("callbacks") or ()):
        for told in notice["told"]:
            if told.get("reason"):
                url = urlsplit(job.spec["callbacks"][told["callback"]]["url"]).netloc
                tries = "is given up" if told["state"] == GIVEN_UP else "is tried again"
                return (
                    f"telling {url} that it came to be {notice['phase']} {tries}: {told['reason']}, {told['message']}"
                )
    return ""


def _named(edge: Unheard) -> str:
    return f"{edge.site}/{edge.edge}"


def _how_succeeded(job: Node, counts: Mapping[str, int]) -> str:
    chunks, succeeded = chunks_of(job), counts.get(SUCCEEDED, 0)
    if succeeded == chunks or "completion" not in job.spec:
        return f"all of its {chunks} chunks have succeeded"
    return f"{succeeded} of its {chunks} chunks have succeeded: {_told(job)}"


def _why(
    job: Node,
    counts: Mapping[str, int],
    reason: Reason | None,
    edges: Sequence[EdgesThat],
    failures: Sequence[FailedChunk],
) -> str:
    if resting := rests(counts, failures):
        return f"they failed, and are tried again after a pause, the first at {resting}"
    if reason is None:
        return (
            f"{job.spec['maxParallel']} are placed at a time, at most" if "maxParallel" in job.spec else "not for long"
        )
    return why_waiting(edges) if reason.reason in (NO_ROOM, NO_EDGE, QUEUED) else reason.message


def rests(counts: Mapping[str, int], failures: Sequence[FailedChunk]) -> str:
    """When the first is tried again, where all that waits is told, and rests until then; else empty."""
    resting = sorted(chunk.again_at for chunk in failures if chunk.again_at)
    if counts.get("pending") or not resting or counts.get("retrying", 0) > len(resting):
        return ""
    return resting[0]


def _why_failed(job: Node, failures: Sequence[FailedChunk]) -> str:
    if told := _told(job):  # of what no chunk could tell, as of a deadline
        return told
    final = next((chunk for chunk in failures if not chunk.goes_on), None)
    if final is None:
        return "nothing is known of why"
    retries = job.spec["retries"]
    if final.failures <= retries:
        often = "is not tried again after such an exit code"
    else:
        often = f"a chunk is tried again {_times(retries)} at most" if retries else "no chunk is tried again"
    told = f"chunk {final.index} has failed {_times(final.failures)}, and {often}"
    return f"{told}: {final.reason}{': ' if final.message else ''}{final.message}" if final.reason else told


def _times(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count} times")


def waits_for(job: Node) -> str | None:
    """What a job waits for that is no edge: its inputs, other jobs or a moment."""
    if not is_held(job):
        return None
    what = "its inputs" if "inputs" in job.spec and "inputs" not in job.status else "its beginning"
    told = _told(job, but="Complete") or _told(job) or "nobody has looked yet"
    return f"it waits for {what}: {told}"


def _told(job: Node, *, but: str = "") -> str:
    """What its conditions say, where something is not as it should be; that of the type `but` is left out."""
    for condition in job.status.get("conditions", ()):
        if condition["message"] and condition["type"] not in (but, CONDITION):
            return f"{condition['reason']}: {condition['message']}"
    return ""
