"""Who is called back, out there: receivers of several tempers, what they were told, and whether that was so."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from datamodel.event import Event
from datamodel.kinds import Document
from datamodel.node import Node
from datamodel.scheduling.callbacks import GIVEN_UP, WAITING
from datamodel.scheduling.jobs import FINISHED
from reconcilers.calling.exposure import Exposure
from reconcilers.calling.memory import MemorySender
from reconcilers.calling.ports import UNREACHABLE, Call, Reply, Unsent
from sim.world.dice import Dice
from sim.world.process import Process

Temper = Literal["sound", "absent", "failing", "hanging", "mute", "never"]
"""`sound` takes every call, `never` none. Half of the calls find the others in trouble: nobody takes a connection, the answer
is 500, there is none, or there is none though the call was taken."""

DOMAIN = "receivers.test"
WAY_S = (0.01, 0.2)
ROUGH = 0.5
LEAST_TRIES, MOST_TRIES = 5, 8
"""In the two minutes after which a world's callbacks are given up, where nothing but the receiver is in trouble."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _Reached(NamedTuple):
    """That a job came to be in a phase, as its event says."""

    position: int
    path: str
    phase: str
    status: Document


def url_of(temper: Temper, job: str) -> str:
    """Where a receiver is told of a job."""
    return f"https://{temper}.{DOMAIN}/{job}"


def temper_of(url: str) -> str:
    return (urlsplit(url).hostname or "").partition(".")[0]


class Receivers:
    """All of them. They complain, by a sentence to `broken`, of calls that tell what is not so."""

    def __init__(self, dice: Dice, broken: list[str], timeout_s: float) -> None:
        self._dice, self._broken, self._timeout_s = dice, broken, timeout_s
        self._reached: defaultdict[str, list[_Reached]] = defaultdict(list)
        """By the job's uid, in order."""
        self._bodies: dict[str, bytes] = {}
        """By the id of a message."""
        self._heard = Counter[tuple[str, str]]()
        """How often each message was sent to each URL, whatever became of it."""
        self._taken: set[tuple[str, str]] = set()
        self._restored = False

    @property
    def calls(self) -> int:
        """How many there were."""
        return self._heard.total()

    def sender(self, process: Process) -> MemorySender:
        """One program's way to them. What it has sent arrives, even if it is killed meanwhile."""

        def carry(call: Call) -> Awaitable[Reply | None]:
            chance = self._dice.stream(f"receivers/{call.url}").uniform
            return process.call(lambda: self.answer(call), there_s=chance(*WAY_S), back_s=chance(*WAY_S), outlives=True)

        return MemorySender(carry, Exposure(), self._timeout_s)

    def answer(self, call: Call) -> Reply | None:
        """What a receiver answers, None for never."""
        message, temper = call.headers["webhook-id"], temper_of(call.url)
        self._heard[message, call.url] += 1
        self._broken.extend(self._wrong(message, call))
        is_rough = self._dice.stream(f"receivers/{call.url}").random() < ROUGH
        match temper:
            case "absent" if is_rough:
                return Unsent(UNREACHABLE, "nobody takes a connection there")
            case "failing" if is_rough:
                return 500
            case "hanging" if is_rough:
                return None
            case "never":
                return 500
        self._taken.add((message, call.url))
        return None if temper == "mute" and is_rough else 204

    def appended(self, event: Event) -> None:
        """Notes what jobs reach."""
        if event.kind == "Job" and event.op == "statusChanged":
            status, known = event.part["status"], self._reached[event.uid]
            if not known or known[-1].phase != status.get("phase"):
                known.append(_Reached(event.position, event.path, status.get("phase", ""), status))

    def restored(self) -> None:
        """What jobs have reached they may reach again, otherwise."""
        self._restored = True
        for known in self._reached.values():
            known.append(_Reached(0, "", "", {}))

    def untold(self, job: Node, *, is_quiet: bool) -> Iterator[str]:
        """What is not as it should be, of a job at rest: of all that it was to tell each callback was told, or was given up
        after tries. `is_quiet`: nothing was ever wrong but with receivers; then nobody is told twice who has answered."""
        notices = job.status.get("callbacks") or ()
        for number, callback in enumerate(job.spec.get("callbacks") or ()):
            url = callback["url"]
            told, over = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
            for message, body in self._bodies.items():
                data = _decode(body)["data"]
                if data["uid"] != job.uid:
                    continue
                told[data["phase"], data["finishedAt"] or ""] += (message, url) in self._taken
                most = 1 if temper_of(url) == "sound" else MOST_TRIES
                if is_quiet and (tries := self._heard[message, url]) > most:
                    yield f"{url} was told of {job.path} {tries} times"
            for notice in notices:
                if any((one["callback"], one["state"]) == (number, GIVEN_UP) for one in notice["told"]):
                    key = notice["phase"], notice["at"] if notice["phase"] in FINISHED else ""
                    over[key] += (notice["id"], url) not in self._taken
                    if (tries := self._heard[notice["id"], url]) < (LEAST_TRIES if is_quiet else 1):
                        yield f"{url} is given up for {job.path} after {tries} tries"
            for key, times in self._wanted(job, callback).items():
                if not self._restored and told[key] + over[key] != times:
                    yield f"{job.path} was {times} times {key}, and {url} was told {told[key]} times of it"

    def _wanted(self, job: Node, callback: Document) -> Counter[tuple[str, str]]:
        """How often a job has reached each phase that a callback is to be told of, those that it ended in by their time."""
        return Counter(
            (reached.phase, reached.status["finishedAt"] if reached.phase in FINISHED else "")
            for reached in self._reached[job.uid]
            if reached.phase in callback["on"]
        )

    def _wrong(self, message: str, call: Call) -> Iterator[str]:
        """Of one that tells what has not been so, or something else than before."""
        if self._bodies.setdefault(message, call.body) != call.body and not self._restored:
            yield f"{call.url} is told something else under the id {message} than before"
        body = _decode(call.body)
        data = body["data"]
        if (body["id"], body["type"]) != (message, f"job.{data['phase']}"):
            yield f"{call.url} is told {body['type']} with {data['phase']} by {message}, which calls itself {body['id']}"
        if not any(_tells(data, reached) for reached in self._reached[data["uid"]]):
            yield f"{call.url} is told what was never so: {data}"


def _tells(data: Document, reached: _Reached) -> bool:
    """Whether a body tells what a job has reached."""
    status, chunks = reached.status, dict(data["chunks"])
    del chunks["total"]
    is_end = reached.phase in FINISHED
    return (
        (data["job"], data["phase"]) == (reached.path, reached.phase)
        and data["version"] >= reached.position
        and data["finishedAt"] == (status.get("finishedAt") if is_end else None)
        and chunks == {name: count for name, count in status.get("chunks", {}).items() if count}
        and data["outputs"] == status.get("outputs")
    )


def undelivered(job: Node) -> Iterator[tuple[str, str]]:
    """The notices of a job that wait, by id, and for which URL."""
    for notice in job.status.get("callbacks") or ():
        for told in notice["told"]:
            if told["state"] == WAITING:
                yield notice["id"], job.spec["callbacks"][told["callback"]]["url"]
