"""The rule book by itself: pure, and without leave of anything but its arguments."""

import copy
import itertools
from datetime import UTC, datetime

from datamodel.admission import Admission, Guards
from datamodel.command import Actor, Advance, Command, Fence, Unit
from datamodel.errors import Conflict, Fenced, Forbidden
from datamodel.ledger import ALL
from datamodel.needs import needs
from datamodel.rulebook import admit
from datamodel.scheduling.model import MODEL
from datamodel.state import State
from tests.graph import EDGE, JOBS, STEPS, SYSTEM, USER, edge_spec, refusal, unit

NOW = datetime(2026, 1, 1, tzinfo=UTC)

ROOTS = unit(Command("apply", "/config"), Command("apply", "/config/job-groups/default"))
JOB = Command("create", f"{JOBS}/j", {"steps": STEPS})


def admitted(state: State, *units: Unit, position: int = 0, guards: Guards | None = None) -> Admission:
    ids = (f"{number:032x}" for number in itertools.count(1000 * position))
    return admit(MODEL, state, guards or Guards(), units, position, NOW, ids)


def test_the_same_arguments_give_the_same_events() -> None:
    units = (ROOTS, unit(JOB))
    first, second = admitted(State(), *units), admitted(State(), *units)
    assert first.events == second.events
    assert first.outcomes == second.outcomes
    assert [event.position for event in first.events] == [1, 2, 3]
    assert {event.at for event in first.events} == {NOW}


def test_touched_rows_are_what_changed_with_what_was_before() -> None:
    state = State()
    admitted(state, ROOTS)
    group = state.nodes["/config/job-groups/default"]
    patch = unit(Command("patchSpec", group.path, {"description": "new"}), JOB)
    touched = admitted(state, patch, position=2).touched
    assert touched.nodes == {group.path: group, JOB.path: None}
    assert (touched.pools, touched.entries, touched.totals) == ({}, {}, {})


def test_a_refused_unit_leaves_no_trace() -> None:
    state = State()
    admitted(state, ROOTS)
    before = copy.deepcopy((state.nodes, state.pools, state.entries, state.totals))
    wrong = unit(JOB, Command("delete", "/config/job-groups/default"), Command("delete", f"{JOBS}/none"))
    admission = admitted(state, wrong, position=2)
    assert [verdict.outcome for verdict in admission.outcomes[0]] == ["refused"] * 3
    assert (admission.events, admission.touched.nodes) == ([], {})
    assert (state.nodes, state.pools, state.entries, state.totals) == before


def test_positions_stay_dense_around_refusals() -> None:
    state = State()
    units = [
        ROOTS,
        unit(JOB),
        unit(JOB),
        unit(JOB, Command("delete", f"{JOBS}/none")),
        unit(Command("delete", JOB.path)),
    ]
    assert [event.position for event in admitted(state, *units, position=7).events] == [8, 9, 10, 11]


def test_guards_are_judged_before_anything_else() -> None:
    guards = Guards(leases={"placement": 3}, marks={"edge": 5})
    units = (
        unit(Command("delete", f"{JOBS}/none"), fence=Fence("placement", 2)),
        unit(Command("delete", f"{JOBS}/none"), advance=Advance("edge", 4, 6)),
        unit(fence=Fence("placement", 3), advance=Advance("edge", 5, 6)),
        unit(advance=Advance("edge", 5, 7)),
        unit(advance=Advance("edge", 6, 8)),
    )
    admission = admitted(State(), *units, guards=guards)
    assert [refusal(outcome) if outcome else None for outcome in admission.outcomes] == [
        Fenced,
        Fenced,
        None,
        Fenced,
        None,
    ]
    assert admission.marks == {"edge": 8}


def test_an_edge_writes_its_own_subtree() -> None:
    state = State()
    sites = unit(*(Command("apply", path) for path in ("/inventory", "/inventory/sites/s")), actor=SYSTEM)
    path = "/inventory/sites/s/edges/e"
    create = Command("create", path, edge_spec())
    exact, sibling = (
        Actor("a", "edge", frozenset({"/sites/s/edges/e"})),
        Actor("a", "edge", frozenset({"/sites/s/edges/e2"})),
    )
    units = (sites, unit(create, actor=sibling), unit(create, actor=exact), unit(Command("delete", path), actor=EDGE))
    outcomes = admitted(state, *units).outcomes
    assert [refusal(outcome) for outcome in outcomes] == [None, Forbidden, None, None]


def test_a_deletion_takes_the_deepest_first() -> None:
    state = State()
    paths = ["/desired-config", "/desired-config/sites/s", *(f"/desired-config/sites/s/edges/e{n}" for n in range(3))]
    admitted(state, unit(*(Command("create", path) for path in paths), actor=SYSTEM))
    events = admitted(state, unit(Command("delete", paths[1]), actor=SYSTEM), position=5).events
    assert [event.path for event in events] == sorted(paths[1:], reverse=True)
    assert list(state.nodes) == ["/desired-config"]


def test_the_read_set_is_named_by_the_commands() -> None:
    attempt = f"/desired-config/sites/s/edges/e/attempts/{'a' * 32}-4-2"
    wanted = needs(
        MODEL,
        [
            Unit(
                (Command("create", attempt, links={"job": (JOB.path,)}, uid="b" * 32),),
                SYSTEM,
                fence=Fence("p", 1),
                key="k",
            ),
            Unit(
                (Command("finalize", JOB.path), Command("delete", "/inventory/sites/s")),
                USER,
                advance=Advance("m", 0, 1),
            ),
        ],
    )
    above = {"/config", "/config/job-groups/default"}
    assert wanted.nodes == {attempt, attempt.rpartition("/attempts/")[0], JOB.path, "/inventory/sites/s"} | above
    assert wanted.pools == {"/inventory/sites/s/edges/e"}
    assert wanted.created == {attempt}
    assert (wanted.entries, wanted.owners) == ({("a" * 32, 4)}, {"a" * 32, ALL})
    assert (wanted.leases, wanted.marks, wanted.keys, wanted.uids) == ({"p"}, {"m"}, {"k"}, {"b" * 32})
    assert (wanted.deleted, wanted.finalized) == ({"/inventory/sites/s"}, {JOB.path})


def test_a_conflict_names_the_version_that_is_there() -> None:
    state = State()
    admitted(state, ROOTS, unit(JOB))
    patch = Command("patchSpec", JOB.path, {"retries": 0}, expected_version=1)
    ((verdict,),) = admitted(state, unit(patch), position=3).outcomes
    assert isinstance(verdict.error, Conflict)
    assert (verdict.error.field, "is at version 3, not 1" in verdict.error.message) == ("/metadata/version", True)
