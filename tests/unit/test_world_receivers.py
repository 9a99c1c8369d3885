"""Receivers of a world see what is told wrongly, too early, twice or not at all."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from datamodel.event import Event
from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.jobs import Job
from reconcilers.calling.ports import Call, Unsent
from sim.world.dice import Dice
from sim.world.process import EPOCH
from sim.world.receivers import Receivers, Temper, url_of
from sim.world.run import run
from sim.world.script import Ask, Script, Submit
from tests.graph import JOBS, STEPS

PATH, UID = f"{JOBS}/j", "1" * 32
END = {"phase": "succeeded", "finishedAt": "then", "chunks": {"succeeded": 1}, "outputs": {"a": 1}}


class Seen:
    """Receivers that have seen a job succeed at position 5, and what they complain of."""

    def __init__(self) -> None:
        self.broken: list[str] = []
        self.receivers = Receivers(Dice(1), self.broken, 5.0)
        self.reached(4, {"phase": "running", "chunks": {"running": 1}})
        self.reached(5, END)

    def reached(self, position: int, status: dict[str, Any]) -> None:
        event = Event(position, "e", EPOCH, "statusChanged", PATH, UID, "Job", {"status": status}, "progress")
        self.receivers.appended(event)

    def call(self, temper: Temper = "sound", message: str = "evt_1", **data: Any) -> object:
        told = {"job": PATH, "uid": UID, "version": 5, "phase": "succeeded", "startedAt": None, "finishedAt": "then"}
        told |= {"chunks": {"total": 1, "succeeded": 1}, "outputs": {"a": 1}, **data}
        body = json.dumps({"id": message, "type": "job.succeeded", "data": told}).encode()
        return self.receivers.answer(Call(url_of(temper, "j"), {"webhook-id": message}, body))

    def untold(self, temper: Temper, state: str, *, is_quiet: bool = False) -> list[str]:
        callbacks = [{"url": url_of(temper, "j"), "on": ["succeeded"]}]
        notice = {"id": "evt_1", "phase": "succeeded", "at": "then", "told": [{"callback": 0, "state": state}]}
        spec = normal_spec(Job, {"steps": STEPS, "callbacks": callbacks})
        job = Node(PATH, UID, "Job", {}, spec, {**END, "callbacks": [notice]}, {}, (), 1, 6, 1, EPOCH)
        return list(self.receivers.untold(job, is_quiet=is_quiet))


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_what_is_so_is_taken(seen: Seen) -> None:
    assert seen.call() == 204
    assert seen.untold("sound", "delivered", is_quiet=True) == []
    assert seen.broken == []


WRONG: list[tuple[str, Callable[[Seen], object]]] = [
    ("too early", lambda seen: seen.call(version=4)),
    ("another phase", lambda seen: seen.call(phase="failed")),
    ("another time", lambda seen: seen.call(finishedAt="now")),
    ("other counts", lambda seen: seen.call(chunks={"total": 1, "running": 1})),
    ("other outputs", lambda seen: seen.call(outputs=None)),
    ("another job", lambda seen: seen.call(uid="2" * 32)),
    ("something else than before", lambda seen: (seen.call(), seen.call(startedAt="then"))),
]


@pytest.mark.parametrize("tell", [tell for _, tell in WRONG], ids=[name for name, _ in WRONG])
def test_what_is_not_so_is_complained_of(seen: Seen, tell: Callable[[Seen], object]) -> None:
    tell(seen)
    assert seen.broken


def test_who_was_never_told_is_missed(seen: Seen) -> None:
    assert seen.untold("sound", "delivered")
    assert seen.untold("sound", "givenUp"), "without a try"


def test_who_was_told_twice_for_nothing_is_missed_where_all_was_quiet(seen: Seen) -> None:
    seen.call()
    seen.call()
    assert seen.untold("sound", "delivered") == []
    assert seen.untold("sound", "delivered", is_quiet=True)


def test_who_never_takes_anything_may_be_given_up_after_tries(seen: Seen) -> None:
    assert seen.call("never") == 500
    assert seen.untold("never", "givenUp") == []
    assert seen.untold("never", "givenUp", is_quiet=True), "once is too few"
    assert seen.untold("never", "delivered")


def test_who_is_in_trouble_is_left_in_peace_in_between(seen: Seen) -> None:
    for _ in range(9):
        seen.call("never")
    assert seen.untold("never", "givenUp") == []
    assert seen.untold("never", "givenUp", is_quiet=True)


def test_every_temper_shows(seen: Seen) -> None:
    answers = {temper: [seen.call(temper) for _ in range(40)] for temper in ("absent", "failing", "hanging", "mute")}
    assert all(204 in found for found in answers.values())
    assert any(isinstance(answer, Unsent) for answer in answers["absent"])
    assert 500 in answers["failing"]
    assert None in answers["hanging"]
    assert None in answers["mute"]


def test_a_world_whose_jobs_call() -> None:
    jobs = (
        Submit(1.0, "a", 3, tells=("sound", "mute", "never")),
        Submit(2.0, "b", 1, retries=0, fails=1, tells=("sound", "hanging")),
        Ask(20.0, "b", "retry"),
        Submit(3.0, "c", 5, seconds=30.0, tells=("sound", "absent")),
        Ask(10.0, "c", "abort"),
    )
    outcome = run(Script(seed=4, edges=2, replicas=2, seconds=60.0, actions=jobs))
    assert outcome.broken == []
    assert outcome.counts["calls"] >= 2 * 3 + 4 * 2 + 2 * 2 + 10
