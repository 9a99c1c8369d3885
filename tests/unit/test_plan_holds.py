"""Room that is kept: it comes as soon as what is there leaves it, whatever else is placed meanwhile, and is given to all again
when nobody needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.scheduling.placing import Rules
from datamodel.scheduling.scheduler import ARRIVAL, BEST_FIT, FIRST_FIT, POWER_AWARE, SPREAD
from reconcilers.planning.backlog import Arranged, Backlog, Chunk, PendingJob
from reconcilers.planning.decisions import NO_ROOM, QUOTA, Blocked, Decision
from reconcilers.planning.fleet import Fleet, Hold
from reconcilers.planning.holds import Waiting, first_of_each, keep, keep_room, review, room_for
from reconcilers.planning.placement import plan
from reconcilers.planning.turns import Terms
from reconcilers.planning.usage import Held, Usage
from tests.placing import backlog, edge, fleet, holding, pending, place, planned, told

HOLD_AFTER_S = 2.0
POLICIES = [FIRST_FIT, BEST_FIT, SPREAD, POWER_AWARE]


@dataclass
class _Known:
    backlog: Backlog
    fleet: Fleet
    usage: Usage = field(default_factory=Usage)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    hold_after_s: float = HOLD_AFTER_S


def test_who_goes_first_and_finds_no_room_has_some_kept_after_a_while() -> None:
    large, there, usage, waiting = pending(1, cpu=4000), fleet(edge(1, 4000), edge(2, 2000)), Usage(), Waiting()
    there.set_free(place(1), {**there.free(place(1)), "cpu": 1000})
    queue = backlog(large)
    found = planned(queue, there)
    waiting.see(found.blocked, queue, 10.0)
    known = _Known(queue, there, usage)
    assert keep(known, first_of_each(found.blocked), waiting, 10.0) == HOLD_AFTER_S
    assert not there.holds
    assert keep(known, first_of_each(found.blocked), waiting, 10.0 + HOLD_AFTER_S) is None
    assert there.holds == {large.asker: Hold(large.wanted, {place(1): 1})}
    assert there.free(place(1))["cpu"] == 1000, "what is free is what it was"
    assert not there.fits(place(1), pending(2, cpu=500).signature), "but for nobody else"


def test_what_is_kept_goes_to_who_asks_for_that_as_soon_as_it_is_free() -> None:
    large, small = pending(1, cpu=4000), pending(2, cpu=1000, chunks=9)
    there, queue = fleet(edge(1, 4000)), backlog(large, small)
    there.set_free(place(1), {**there.free(place(1)), "cpu": 3000})
    there.hold(large.asker, Hold(large.wanted, {place(1): 1}))
    found = planned(queue, there)
    assert told(found.decisions) == []
    assert {(one.job.order, one.reason) for one in found.blocked} == {(1, NO_ROOM), (2, NO_ROOM)}
    there.know_barren(found.barren)
    there.set_free(place(1), {**there.free(place(1)), "cpu": 4000})
    found = planned(queue, there)
    assert told(found.decisions) == [(1, 0, 1, "e1")]
    assert found.served == {large.asker: {}}


def test_what_fits_beside_what_is_kept_is_placed() -> None:
    large, small = pending(1, cpu=4000), pending(2, cpu=1000, chunks=9)
    there, queue = fleet(edge(1, 6000)), backlog(large, small)
    there.set_free(place(1), {**there.free(place(1)), "cpu": 3000})
    there.hold(large.asker, Hold(large.wanted, {place(1): 1}))
    assert told(planned(queue, there).decisions) == []
    there.set_free(place(1), {**there.free(place(1)), "cpu": 6000})
    assert told(planned(queue, there).decisions) == [(1, 0, 1, "e1"), (2, 0, 1, "e1"), (2, 1, 1, "e1")]


def test_who_finds_room_elsewhere_leaves_what_was_kept_to_others() -> None:
    large, small = pending(1, cpu=4000), pending(2, cpu=3000)
    there, queue, usage = fleet(edge(1, 4000), edge(2, 4000)), backlog(large, small), Usage()
    there.set_free(place(1), {**there.free(place(1)), "cpu": 3000})
    there.set_free(place(2), {**there.free(place(2)), "cpu": 1000})
    there.hold(large.asker, Hold(large.wanted, {place(1): 1}))
    there.know_barren(planned(queue, there).barren)
    there.set_free(place(2), {**there.free(place(2)), "cpu": 4000})
    with there.draft() as draft:
        found = plan(queue, there, usage, {}, order=ARRIVAL, limit=9)
        draft.keep()
    there.know_barren(found.barren)
    for asker, left in found.served.items():
        there.forget(asker, left)
    assert told(found.decisions) == [(1, 0, 1, "e2")]
    queue.put(large.without([found.decisions[0].chunk]))
    assert told(planned(queue, there).decisions) == [(2, 0, 1, "e1")]


def test_what_is_kept_for_several_chunks_is_taken_one_by_one() -> None:
    urgent, small = pending(1, cpu=2000, chunks=3, rank=1.0), pending(2, cpu=1000, chunks=9)
    there, queue, usage = fleet(edge(1, 4000), edge(2, 2000)), backlog(urgent, small), Usage()
    for number in (1, 2):
        there.set_free(place(number), {**there.free(place(number)), "cpu": 0})
    there.hold(urgent.asker, Hold(urgent.wanted, {place(1): 2, place(2): 1}, is_cleared=True))
    there.set_free(place(1), {**there.free(place(1)), "cpu": 3000})
    with there.draft() as draft:
        found = plan(queue, there, usage, {}, order=ARRIVAL, limit=9)
        draft.keep()
    assert told(found.decisions) == [(1, 0, 1, "e1")]
    assert found.served == {urgent.asker: {place(1): 1, place(2): 1}}
    there.forget(urgent.asker, found.served[urgent.asker])
    queue.put(urgent.without([Chunk(0, 1)]))
    assert there.holds[urgent.asker].spots == {place(1): 1, place(2): 1}
    assert there.free(place(1))["cpu"] == 1000
    assert told(planned(queue, there).decisions) == [], (
        "what is left is not enough for the urgent one, nor for others beside it"
    )
    there.set_free(place(2), {**there.free(place(2)), "cpu": 2000})
    assert [one[0] for one in told(planned(queue, there).decisions)] == [1]


def test_what_comes_to_be_elsewhere_needs_not_be_kept() -> None:
    hold = Hold(pending(1).wanted, {"a": 2, "b": 1})
    assert hold.left([]) == {"a": 2, "b": 1}
    assert hold.left(["a", "c"]) == {"b": 1}
    assert hold.left(["c", "c", "c", "c"]) == {}


def test_a_gang_has_room_kept_for_all_of_it() -> None:
    gang = pending(1, chunks=3, cpu=2000, together=True)
    there, queue = fleet(edge(1, 4000), edge(2, 4000), edge(3, 1000)), backlog(gang, pending(2, cpu=1000, chunks=9))
    for number in (1, 2):
        there.set_free(place(number), {**there.free(place(number)), "cpu": 1000})
    hold = room_for(gang, there, Usage())
    assert hold is not None
    assert (sum(hold.spots.values()), set(hold.spots)) == (3, {place(1), place(2)})
    there.hold(gang.asker, hold)
    assert told(planned(queue, there).decisions) == [(2, 0, 1, "e3")]
    there.set_free(place(1), {**there.free(place(1)), "cpu": 4000})
    assert [one[0] for one in told(planned(queue, there).decisions)] == [2], "not before all of it has room"
    there.set_free(place(2), {**there.free(place(2)), "cpu": 4000})
    assert [one[0] for one in told(planned(queue, there).decisions)] == [1, 1, 1, 2, 2, 2]


def test_no_room_is_kept_where_there_will_never_be_any() -> None:
    there = fleet(edge(1, 4000, site="s"), edge(2, 2000, site="t"))
    assert room_for(pending(1, cpu=5000), there, Usage()) is None
    assert room_for(pending(1, cpu=3000, rules=Rules(sites=("t",))), there, Usage()) is None
    assert room_for(pending(1, cpu=2000, chunks=4, together=True), there, Usage()) is None
    apart = pending(1, cpu=1000, chunks=3, together=True, arrangement=Arranged("apart", "edges"))
    assert room_for(apart, there, Usage()) is None


def test_chunks_that_lie_apart_have_room_kept_apart() -> None:
    one = pending(1, cpu=1000, chunks=3, begun=1, arrangement=Arranged("apart", "sites"))
    there = fleet(edge(1, 9000, site="s"), edge(2, 9000, site="s"), edge(3, 1000, site="t"))
    hold = room_for(one, there, holding((one, place(1))))
    assert hold is not None
    assert list(hold.spots) == [place(3, "t")]


@pytest.mark.parametrize(
    "ended", ["placed", "gone", "quota", "paused", "labels", "capacity", "edge"], ids=lambda name: f"{name}"
)
def test_nothing_is_kept_for_who_does_not_need_it(ended: str) -> None:
    large, small = pending(1, cpu=4000, rules=Rules(required="good")), pending(2, cpu=1000)
    there = fleet(edge(1, 4000, labels={"good": ""}))
    there.set_free(place(1), {**there.free(place(1)), "cpu": 2000})
    queue, terms, blocked = backlog(large, small), dict[str, Terms](), [Blocked(large, NO_ROOM)]
    there.hold(large.asker, Hold(large.wanted, {place(1): 1}))
    assert not review(there, queue, terms, blocked)
    there.know_barren(planned(queue, there).barren)
    match ended:
        case "placed" | "gone":
            queue.drop(large.path)
        case "quota":
            blocked = [Blocked(large, QUOTA)]
        case "paused":
            terms = {"default": Terms(paused=True)}
        case "labels":
            there.put(edge(1, 4000)[0], there.free(place(1)))
        case "capacity":
            there.put(edge(1, 3000, labels={"good": ""})[0], {**there.free(place(1)), "cpu": 1000})
        case "edge":
            there.drop(place(1))
            assert not there.holds
            return
    assert review(there, queue, terms, blocked)
    assert not there.holds
    assert told(planned(queue, there).decisions) == [(2, 0, 1, "e1")], "others find what was kept"


def test_a_limited_number_has_room_kept_and_few_at_once() -> None:
    there = fleet(*(edge(number, 4000) for number in range(1, 200)))
    jobs = [pending(order, cpu=4000, group=f"g{order:03}", asks={"power": 1000 + order}) for order in range(1, 100)]
    waiting, queue = Waiting(), backlog(*jobs)
    waiting.see([Blocked(one, NO_ROOM) for one in jobs], queue, 0.0)
    assert keep(_Known(queue, there), jobs, waiting, 100.0) == 0.0
    assert len(there.holds) == 2
    for _ in range(100):
        keep(_Known(queue, there), jobs, waiting, 100.0)
    assert len(there.holds) == 64


_SIZES = st.tuples(st.sampled_from([500, 1000, 2000]), st.sampled_from([1000, 40_000]), st.integers(1, 12))
"""Cores, power, and for how long it runs."""


@dataclass
class _Day:
    """Edges, what runs on them and until when, and what waits."""

    there: Fleet
    queue: Backlog
    running: list[tuple[int, str, PendingJob]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    waiting: Waiting = field(default_factory=Waiting)
    lasts: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: str, edges: int, before: Sequence[tuple[int, int, int]]) -> Self:
        day = cls(fleet(*(edge(number, 4000) for number in range(edges)), policy=policy), backlog())
        for number, (cpu, power, until) in enumerate(before):
            path, one = place(number % edges), pending(100 + number, cpu=cpu, asks={"power": power})
            if day.there.fits(path, one.signature):
                day.there.take(path, one.signature)
                day.running.append((until, path, one))
        return day

    def end(self, tick: int) -> None:
        for one in [one for one in self.running if one[0] <= tick]:
            self.running.remove(one)
            _, path, job = one
            free = self.there.free(path)
            self.there.set_free(path, {name: free[name] + amount for name, amount in job.signature})

    def decide(self, tick: int) -> list[Decision]:
        with self.there.draft() as draft:
            found = plan(self.queue, self.there, self.usage, {}, order=ARRIVAL, limit=50)
            draft.keep()
        self.there.know_barren(found.barren)
        for asker, left in found.served.items():
            self.there.forget(asker, left)
        for decision in found.decisions:
            self.queue.put(decision.job.without([decision.chunk]))
            self.usage.add(decision.attempt, Held(decision.job.path, decision.edge, decision.job.signature))
            self.running.append((tick + self.lasts.get(decision.job.order, 9), decision.edge, decision.job))
        keep_room(found, found.decisions, self.waiting, _Known(self.queue, self.there, self.usage), tick)
        return found.decisions

    def leaves_room(self, hold: Hold, tick: int) -> bool:
        """Whether what runs now leaves room for what is kept by then, where nothing else comes."""
        for path, times in hold.spots.items():
            free = dict(self.there.free(path))
            for until, where, job in self.running:
                if where == path and until <= tick:
                    for name, amount in job.signature:
                        free[name] += amount
            if any(free[name] < amount * times for name, amount in hold.wanted.signature):
                return False
        return True


@given(
    st.sampled_from(POLICIES),
    st.integers(1, 3),
    st.lists(_SIZES, min_size=3, max_size=20),
    st.lists(st.lists(_SIZES, max_size=3), min_size=40, max_size=40),
    st.booleans(),
)
def test_who_has_room_kept_begins_when_what_ran_then_leaves_it_whoever_comes_meanwhile(
    policy: str,
    edges: int,
    before: list[tuple[int, int, int]],
    coming: list[list[tuple[int, int, int]]],
    together: bool,  # noqa: FBT001 - of a property
) -> None:
    day = _Day.of(policy, edges, before)
    large = pending(1, cpu=4000, chunks=edges if together else 1, together=together, group="large")
    day.queue.put(large)
    latest: int | None = None
    for tick, sizes in enumerate(coming):
        day.end(tick)
        for number, (cpu, power, lasts) in enumerate(sizes):
            order = 1000 + 10 * tick + number
            day.lasts[order] = lasts
            day.queue.put(pending(order, cpu=cpu, asks={"power": power}, rank=1.0))
        decided = day.decide(tick)
        if any(decision.job.order == 1 for decision in decided):
            return
        hold = day.there.holds.get(large.asker)
        if latest is None and hold is not None:
            latest = next(later for later in range(tick, 60) if day.leaves_room(hold, later))
        assert latest is None or tick < latest, "it has begun by then"
    raise AssertionError("it never began")
