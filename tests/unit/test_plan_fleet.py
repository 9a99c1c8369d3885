"""Finding an edge: as one that looks at all of them would, however it is kept."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from datamodel.scheduling.placing import Rules
from datamodel.scheduling.scheduler import BEST_FIT, FIRST_FIT, POWER_AWARE, SPREAD
from reconcilers.planning.backlog import wanted_of
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.search import Search
from reconcilers.planning.shelves import Shelves, shelf_of
from reconcilers.planning.views import Edge
from tests.placing import edge, fleet, place

SIGNATURES = [
    (("cpu", 1_000),),
    (("cpu", 500), ("power", 20_000)),
    (("cpu", 2_000), ("gpu/a100", 1)),
    (("memory", 2**30), ("power", 1)),
]
RULES = [Rules(), Rules(sites=("t",)), Rules(required="zone=east"), Rules(preferred=(("zone=east", 2), ("fast", 3)))]


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_more_is_never_on_a_lower_shelf(some: int, more: int) -> None:
    low, high = sorted((some, more))
    assert 0 <= shelf_of(low) <= shelf_of(high)
    if shelf_of(low) == shelf_of(high) and low > 0:
        assert high <= low * 9 / 8


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.integers(0, 300)), max_size=60), st.integers(0, 300)
)
def test_shelves_tell_what_was_put_last(said: list[tuple[str, int | None]], least: int) -> None:
    shelves, there = Shelves(), dict[str, int]()
    for name, amount in said:
        if amount is None:
            shelves.drop(name)
            there.pop(name, None)
        else:
            shelves.put(name, amount)
            there[name] = amount
    expected = sorted((shelf_of(amount), name) for name, amount in there.items() if shelf_of(amount) >= shelf_of(least))
    assert list(shelves.tightest(least)) == expected
    assert list(shelves.roomiest(least)) == sorted(expected, key=lambda one: (-one[0], one[1]))
    assert shelves.about(least) >= len([amount for amount in there.values() if amount >= least])
    assert all(shelves.shelf(name) == shelf_of(amount) for name, amount in there.items())


def test_preferred_edges_come_first_whatever_their_room() -> None:
    edges = [
        edge(1, 9_000),
        edge(2, 2_000, labels={"fast": "yes"}),
        edge(3, 1_000, labels={"zone": "east", "fast": "yes"}),
    ]
    wanted = wanted_of(SIGNATURES[0], RULES[3])
    for policy in (FIRST_FIT, BEST_FIT, SPREAD):
        found = Search(fleet(*edges, policy=policy), wanted).all()
        assert found == [place(3), place(2), place(1)]


def test_clean_power_comes_first_where_power_is_looked_at() -> None:
    edges = [edge(1, carbon=500.0), edge(2, carbon=20.0), edge(3)]
    wanted = wanted_of((("power", 1),))
    assert Search(fleet(*edges, policy=POWER_AWARE), wanted).all() == [place(2), place(1), place(3)]
    assert Search(fleet(*edges, policy=FIRST_FIT), wanted).all() == [place(1), place(2), place(3)]


class FleetMachine(RuleBasedStateMachine):
    """A fleet beside a plain dictionary, and searches beside a look at everything."""

    policy = BEST_FIT

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(self.policy)
        self.edges: dict[str, Edge] = {}
        self.free: dict[str, Mapping[str, int]] = {}

    @rule(
        number=st.integers(1, 5),
        site=st.sampled_from(["s", "t"]),
        labels=st.fixed_dictionaries({}, optional={"zone": st.sampled_from(["east", "west"]), "fast": st.just("")}),
        cpu=st.integers(0, 4_000),
        gpus=st.integers(0, 2),
    )
    def comes(self, number: int, site: str, labels: Mapping[str, str], cpu: int, gpus: int) -> None:
        one, free = edge(number, cpu, site=site, labels=labels, more={"gpu/a100": gpus} if gpus else {})
        self.fleet.put(one, free)
        self.edges[one.path], self.free[one.path] = one, free

    @rule(number=st.integers(1, 5), site=st.sampled_from(["s", "t"]))
    def goes(self, number: int, site: str) -> None:
        self.fleet.drop(place(number, site))
        self.edges.pop(place(number, site), None)
        self.free.pop(place(number, site), None)

    @rule(number=st.integers(1, 5), site=st.sampled_from(["s", "t"]), cpu=st.integers(-500, 4_000))
    def has(self, number: int, site: str, cpu: int) -> None:
        path = place(number, site)
        if path in self.free:
            self.free[path] = {**self.free[path], "cpu": cpu}
            self.fleet.set_free(path, self.free[path])

    @rule(signature=st.sampled_from(SIGNATURES), rules=st.sampled_from(RULES), keeps=st.booleans())
    def fills(self, signature: tuple[tuple[str, int], ...], rules: Rules, *, keeps: bool) -> None:
        """Takes all there is for one ask, and finds exactly as much as fits; keeps it, or makes it undone."""
        wanted = wanted_of(signature, rules)
        suiting = [path for path, one in self.edges.items() if rules.bar(one.labels) is None]
        times = sum(max(0, min(self.free[p].get(n, 0) // a for n, a in signature)) for p in suiting)
        with self.fleet.draft():
            taken = self._fill(Search(self.fleet, wanted))
        assert sum(taken.values()) == times, "no more and no less than there is room for"
        if keeps:
            for path, count in taken.items():
                self.fleet.take(path, signature, count)
                self.free[path] = {
                    **self.free[path],
                    **{n: self.free[path].get(n, 0) - a * count for n, a in signature},
                }
            self.fleet.know_barren([wanted])

    def _fill(self, search: Search) -> dict[str, int]:
        taken: dict[str, int] = {}
        while (path := search.next()) is not None:
            assert self.fleet.fits(path, search.wanted.signature)
            self.fleet.take(path, search.wanted.signature)
            taken[path] = taken.get(path, 0) + 1
        return taken

    @invariant()
    def is_what_was_said(self) -> None:
        assert {path: dict(self.fleet.free(path)) for path in self.fleet.edges} == {
            p: dict(f) for p, f in self.free.items()
        }
        for resource in ("cpu", "gpu/a100"):
            assert self.fleet.capacity[resource] == sum(one.capacity.get(resource, 0) for one in self.edges.values())


class SpreadMachine(FleetMachine):
    policy = SPREAD


class FirstFitMachine(FleetMachine):
    policy = FIRST_FIT


TestFleet = FleetMachine.TestCase
TestSpread = SpreadMachine.TestCase
TestFirstFit = FirstFitMachine.TestCase
