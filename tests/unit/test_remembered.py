"""A writer's memory: what it knows, what it forgets with whose changes, and when it suffices."""

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from datamodel.admission import Admission
from datamodel.command import Advance, Command, Fence, Unit
from datamodel.ledger import ALL, Entry, Totals
from datamodel.needs import Needs, needs
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.ports import Change
from datamodel.postgres.clock import Clock
from datamodel.postgres.displacement import displaced
from datamodel.postgres.recent import Recent, changes_of
from datamodel.postgres.remembered import (
    LIMIT_BYTES,
    LIMIT_ROWS,
    Changed,
    Remembered,
    claimed_guards,
)
from datamodel.rulebook import admit
from datamodel.scheduling.attempts import PLACED, attempt_name
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.jobs import RUNNING
from datamodel.scheduling.model import MODEL
from datamodel.state import EntryKey, State
from tests.graph import EDGE, JOBS, REQUESTS, STEPS, SYSTEM, counted_ids, job, unit

AT = datetime(2030, 1, 1, tzinfo=UTC)
GROUP = "/config/job-groups/default"
OWNER = "a" * 32
POOL = inventory_path("s", "e")
FIRST, SECOND = (f"{desired_path('s', 'e')}/attempts/{attempt_name(OWNER, index, 1)}" for index in (0, 1))


def node(path: str, kind: str, *, uid: str = OWNER, version: int = 5, created: int = 5) -> Node:
    return Node(path, uid, kind, {}, {}, {}, {}, (), 1, version, created, AT)


def entry(index: int, holder: str) -> Entry:
    return Entry(OWNER, index, 1, PLACED, holder)


@pytest.fixture
def recent() -> Recent:
    """What the process read for others."""
    return Recent()


@pytest.fixture
def remembered(recent: Recent) -> Remembered:
    """It stands at position 10 and knows a job with two attempts, all of them."""
    remembered = Remembered(MODEL, recent)
    remembered.position, remembered.clock = 9, Clock(AT, time.monotonic())
    remembered.heard(10)
    remembered.outrun([Changed(10, "e", f"{JOBS}/other", "9" * 32, went=False)], 10)
    rows = State()
    rows.nodes = {GROUP: node(GROUP, "JobGroup", uid="b" * 32), FIRST: node(FIRST, "Attempt", uid="c" * 32)}
    rows.nodes[f"{JOBS}/j"] = node(f"{JOBS}/j", "Job")
    rows.pools = {POOL: Pool({"cpu": 1000}, {"cpu": 500})}
    rows.entries = {(OWNER, 0): entry(0, FIRST), (OWNER, 1): entry(1, SECOND)}
    rows.totals = {owner: Totals({PLACED: 2}) for owner in (OWNER, ALL)}
    read = Needs({*rows.nodes, f"{JOBS}/none"}, {POOL}, {*rows.entries}, {OWNER, ALL})
    remembered.learn(read, rows, 0)
    return remembered


def missing(
    remembered: Remembered,
    nodes: Collection[str] = (),
    pools: Collection[str] = (),
    owners: Collection[str] = (),
    entries: Collection[EntryKey] = (),
) -> Needs:
    return remembered.missing(Needs({*nodes}, {*pools}, {*entries}, {*owners}))


def test_what_was_read_is_known_and_so_is_what_does_not_exist(remembered: Remembered) -> None:
    assert missing(remembered, nodes=[GROUP, f"{JOBS}/none"], pools=[POOL], owners=[OWNER, ALL]).rows == 0
    assert missing(remembered, nodes=[GROUP, SECOND]).nodes == {SECOND}
    assert remembered.node(GROUP) is not None
    assert remembered.node(f"{JOBS}/none") is None


def test_a_change_forgets_its_node_and_what_it_derives(remembered: Remembered) -> None:
    remembered.forget([Changed(11, "e11", FIRST, "c" * 32, went=False)])
    found = missing(remembered, [GROUP, FIRST], [POOL], [OWNER, ALL], [(OWNER, 0), (OWNER, 1)])
    assert (found.nodes, found.pools, found.owners) == ({FIRST}, {POOL}, {OWNER, ALL})
    assert found.entries == {(OWNER, 0)}
    assert remembered.node(FIRST) is None
    assert remembered.totals(OWNER) is None
    assert remembered.node(GROUP) is not None


def test_an_owner_that_went_takes_its_totals_with_it(remembered: Remembered) -> None:
    remembered.forget([Changed(11, "e11", f"{JOBS}/j", OWNER, went=False)])
    assert missing(remembered, owners=[OWNER, ALL]).rows == 0, "a change of the job counts nothing"
    remembered.forget([Changed(12, "e12", f"{JOBS}/j", OWNER, went=True)])
    assert missing(remembered, owners=[OWNER, ALL]).owners == {OWNER, ALL}


def test_who_knows_how_many_entries_there_are_knows_of_which_pieces_there_is_none(remembered: Remembered) -> None:
    remembered.forget([Changed(11, "e11", FIRST, "c" * 32, went=False)])
    assert missing(remembered, entries=[(OWNER, 7)]).entries == {(OWNER, 7)}, "nor how many there are"
    totals = State()
    totals.totals = {OWNER: Totals({PLACED: 2, RUNNING: 1})}
    remembered.learn(Needs(owners={OWNER}), totals, 0)
    wanted = [(OWNER, 0), (OWNER, 1), (OWNER, 2), (OWNER, 3), (OWNER, 7)]
    assert missing(remembered, entries=wanted).entries == {(OWNER, 0), (OWNER, 2)}


def test_an_owner_without_totals_has_no_entries(remembered: Remembered) -> None:
    other = "b" * 32
    assert missing(remembered, entries=[(other, 0)]).entries == {(other, 0)}
    remembered.learn(Needs(owners={other}), State(), 0)
    assert missing(remembered, entries=[(other, 0)]).rows == 0


def test_of_too_many_rows_the_older_half_is_forgotten(remembered: Remembered) -> None:
    era, paths = remembered.era, [f"{JOBS}/j{number}" for number in range(LIMIT_ROWS)]
    learn(remembered, paths, 0)
    assert missing(remembered, nodes=[FIRST, paths[0], paths[-1]]).nodes == {FIRST, paths[0]}
    assert missing(remembered, nodes=[f"{JOBS}/none"]).rows == 1, "nor is known any more what there was none of"
    assert missing(remembered, owners=[OWNER, ALL], entries=[(OWNER, 0), (OWNER, 1)]).entries == {(OWNER, 0)}
    assert LIMIT_ROWS // 3 < remembered.known.rows < LIMIT_ROWS
    assert (remembered.era, remembered.position, remembered.latest) == (era, 10, True), "what was decided stands"


def test_what_others_stand_below_or_reserve_of_is_not_forgotten_with_the_old(remembered: Remembered) -> None:
    learn(remembered, [f"{JOBS}/j{number}" for number in range(LIMIT_ROWS)], 0)
    assert missing(remembered, nodes=[GROUP], pools=[POOL], owners=[ALL]).rows == 0


def test_that_a_new_owner_has_no_ledger_is_remembered_as_long_as_it_is(remembered: Remembered) -> None:
    theirs = node(f"{JOBS}/theirs", "Job", uid="d" * 32, version=11, created=11)
    learn(remembered, [f"{JOBS}/j{number}" for number in range(LIMIT_ROWS)], 0)
    remembered.follow([Change(11, "e11", theirs.path, theirs.uid, "Job", theirs)])
    assert missing(remembered, owners=[theirs.uid, OWNER]).owners == {OWNER}


def test_what_was_changed_here_since_others_did_is_not_found_in_what_was_read(
    remembered: Remembered, recent: Recent
) -> None:
    theirs = node(f"{JOBS}/theirs", "Job", uid="d" * 32, version=11, created=11)
    recent.put([Change(11, "e11", theirs.path, theirs.uid, "Job", theirs)])
    remembered.outrun([Changed(11, "e11", theirs.path, theirs.uid, went=False)], 11)
    assert missing(remembered, nodes=[theirs.path], owners=[theirs.uid]).rows == 0
    remembered.committed(
        admitted(remembered, unit(Command("patchStatus", theirs.path, {"phase": RUNNING}), actor=SYSTEM))
    )
    learn(remembered, [f"{JOBS}/j{number}" for number in range(LIMIT_ROWS)], 0)
    assert missing(remembered, nodes=[theirs.path], owners=[theirs.uid]).rows == 2
    assert remembered.node(theirs.path) is None


def test_of_too_many_pools_the_older_half_goes_too(remembered: Remembered) -> None:
    rows = State()
    rows.pools = {inventory_path("s", f"e{number}"): Pool({"cpu": 1}, {}) for number in range(LIMIT_ROWS)}
    remembered.learn(Needs(pools={*rows.pools}), rows, 0)
    assert missing(remembered, pools=[POOL, [*rows.pools][-1]]).pools == {POOL}


def test_of_too_many_bytes_half_is_forgotten_and_what_is_left_suffices(remembered: Remembered) -> None:
    late = f"{JOBS}/late"
    learn(remembered, [late], LIMIT_BYTES + 1)
    assert suffices(remembered, unit(Command("patchSpec", late, {})))
    assert missing(remembered, nodes=[FIRST]).nodes == {FIRST}
    assert suffices(remembered, unit(job("new")))


def test_a_decision_on_its_way_is_taken_back_though_its_rows_were_forgotten(remembered: Remembered) -> None:
    before = remembered.node(f"{JOBS}/j")
    admitted(remembered, unit(Command("patchStatus", f"{JOBS}/j", {"phase": RUNNING}), actor=SYSTEM))
    assert remembered.state.nodes[f"{JOBS}/j"] != before
    learn(remembered, ["/config", *(f"{JOBS}/k{number}" for number in range(LIMIT_ROWS))], 0)
    assert missing(remembered, nodes=[f"{JOBS}/j"]).rows == 1
    remembered.mistaken()
    assert remembered.state.nodes[f"{JOBS}/j"] == before
    assert missing(remembered, nodes=[f"{JOBS}/j"]).rows == 1, "it is read before anything is decided"


def learn(remembered: Remembered, paths: Collection[str], size_bytes: int) -> None:
    """They were read just now."""
    rows = State()
    rows.nodes = {path: node(path, "Job", uid=f"{number:032x}") for number, path in enumerate(paths)}
    remembered.learn(Needs({*paths}), rows, size_bytes)


def test_an_era_ends_with_everything_that_was_known(remembered: Remembered) -> None:
    era = remembered.era
    remembered.clear()
    assert remembered.era == era + 1
    assert (remembered.node(GROUP), remembered.totals(OWNER), remembered.clock) == (None, None, None)
    assert missing(remembered, nodes=[GROUP], entries=[(OWNER, 7)]).rows == 2
    remembered.mistaken()
    assert remembered.era == era + 2


def test_nothing_is_recalled_after_others_were_heard_of(remembered: Remembered) -> None:
    remembered.heard(9)
    assert remembered.node(GROUP) is not None
    remembered.heard(11)
    assert (remembered.latest, remembered.node(GROUP), remembered.totals(OWNER)) == (False, None, None)


def test_what_others_did_is_followed(remembered: Remembered) -> None:
    theirs = node(f"{JOBS}/theirs", "Job", uid="d" * 32, version=11, created=11)
    group = node(GROUP, "JobGroup", uid="b" * 32, version=12)
    remembered.heard(13)
    remembered.follow(
        [
            Change(11, "e11", theirs.path, theirs.uid, "Job", theirs),
            Change(12, "e12", GROUP, group.uid, "JobGroup", group),
            Change(13, "e13", f"{JOBS}/j", OWNER, "Job", None),
        ]
    )
    assert (remembered.position, remembered.event, remembered.latest) == (13, "e13", True)
    assert (remembered.node(theirs.path), remembered.node(GROUP)) == (theirs, group)
    assert (remembered.node(f"{JOBS}/j"), remembered.totals(OWNER)) == (None, None)
    assert missing(remembered, nodes=[theirs.path, GROUP, f"{JOBS}/j"]).rows == 0
    assert missing(remembered, owners=[theirs.uid], entries=[(theirs.uid, 0)]).rows == 0, "it is new and has no ledger"
    assert missing(remembered, owners=[OWNER, ALL]).owners == {OWNER, ALL}


def test_what_others_did_is_forgotten_until_it_is_read(remembered: Remembered, recent: Recent) -> None:
    theirs = node(f"{JOBS}/theirs", "Job", uid="d" * 32, version=11, created=11)
    group = node(GROUP, "JobGroup", uid="b" * 32, version=13)
    remembered.heard(13)
    remembered.outrun(
        [
            Changed(11, "e11", theirs.path, theirs.uid, went=False),
            Changed(12, "e12", GROUP, group.uid, went=False),
            Changed(13, "e13", GROUP, group.uid, went=False),
        ],
        13,
    )
    assert (remembered.position, remembered.event, remembered.latest) == (13, "e13", True)
    assert missing(remembered, nodes=[theirs.path, GROUP], owners=[theirs.uid]).rows == 3
    old = structs.replace(group, version=12)
    recent.put(
        [
            Change(11, "e11", theirs.path, theirs.uid, "Job", theirs),
            Change(12, "e12", GROUP, group.uid, "JobGroup", old),
        ]
    )
    assert (remembered.node(theirs.path), remembered.node(GROUP)) == (theirs, None), "the group has changed again since"
    assert missing(remembered, owners=[theirs.uid], entries=[(theirs.uid, 0)]).rows == 0, "it is new and has no ledger"
    recent.put([Change(13, "e13", GROUP, group.uid, "JobGroup", group)])
    assert remembered.node(GROUP) == group


def test_what_was_read_before_it_was_forgotten_is_found_all_the_same(remembered: Remembered, recent: Recent) -> None:
    theirs = node(f"{JOBS}/theirs", "Job", uid="d" * 32, version=11, created=11)
    recent.put([Change(11, "e11", theirs.path, theirs.uid, "Job", theirs)])
    remembered.outrun([Changed(11, "e11", theirs.path, theirs.uid, went=False)], 11)
    assert missing(remembered, nodes=[theirs.path], owners=[theirs.uid], entries=[(theirs.uid, 0)]).rows == 0
    assert remembered.node(theirs.path) == theirs


def test_of_a_node_that_others_deleted_nothing_is_known(remembered: Remembered, recent: Recent) -> None:
    group = node(GROUP, "JobGroup", uid="b" * 32, version=11)
    remembered.outrun([Changed(11, "e11", GROUP, group.uid, went=True)], 11)
    recent.put([Change(11, "e11", GROUP, group.uid, "JobGroup", None)])
    assert remembered.node(GROUP) is None
    assert missing(remembered, nodes=[GROUP]).nodes == {GROUP}, "it may have been made again since"


def test_what_is_known_is_not_made_older_by_what_was_read_of_it(remembered: Remembered, recent: Recent) -> None:
    group = node(GROUP, "JobGroup", uid="b" * 32, version=11)
    remembered.outrun([Changed(11, "e11", GROUP, group.uid, went=False)], 11)
    rows = State()
    rows.nodes = {GROUP: group}
    remembered.learn(Needs({GROUP}), rows, 0)
    described = Command("patchSpec", GROUP, {"description": "newer"})
    remembered.committed(admitted(remembered, unit(described)))
    recent.put([Change(11, "e11", GROUP, group.uid, "JobGroup", group)])
    known = remembered.node(GROUP)
    assert known is not None
    assert known.version == 12


def test_of_a_new_owner_that_others_have_counted_for_the_ledger_is_not_known(
    remembered: Remembered, recent: Recent
) -> None:
    uid = "d" * 32
    theirs = node(f"{JOBS}/theirs", "Job", uid=uid, version=11, created=11)
    attempt = f"{desired_path('s', 'e')}/attempts/{attempt_name(uid, 0, 1)}"
    told = [Changed(11, "e11", theirs.path, uid, went=False), Changed(12, "e12", attempt, "f" * 32, went=False)]
    remembered.outrun(told, 12)
    recent.put([Change(11, "e11", theirs.path, uid, "Job", theirs)])
    assert missing(remembered, nodes=[theirs.path]).rows == 0
    assert missing(remembered, owners=[uid], entries=[(uid, 0)]).rows == 2


def test_who_is_not_told_of_everything_knows_nothing(remembered: Remembered) -> None:
    remembered.heard(13)
    remembered.outrun([Changed(12, "e12", f"{JOBS}/theirs", "d" * 32, went=False)], 13)
    assert (remembered.position, remembered.known.rows) == (0, 0)


def test_a_word_of_more_than_there_is_was_wrong(remembered: Remembered) -> None:
    remembered.heard(12)
    remembered.outrun([], 11)
    assert not remembered.latest, "another word came while it was read"
    remembered.outrun([], 12)
    assert remembered.latest


def admitted(remembered: Remembered, *units: Unit) -> Admission:
    guards, ids = claimed_guards(units), counted_ids()
    admission = admit(MODEL, remembered.state, guards, units, remembered.position, AT, ids)
    remembered.admitted(admission, remembered.position, 0)
    return admission


def test_what_is_being_written_is_known_and_not_recalled(remembered: Remembered) -> None:
    patch = unit(Command("patchStatus", f"{JOBS}/j", {"phase": "running"}), actor=SYSTEM)
    first, second = admitted(remembered, unit(job("x"))), admitted(remembered, patch)
    assert (remembered.position, remembered.event) == (12, second.events[0].id)
    assert missing(remembered, nodes=[f"{JOBS}/x"]).rows == 0
    assert (remembered.node(f"{JOBS}/x"), remembered.node(f"{JOBS}/j")) == (None, None)
    remembered.committed(first)
    recalled = remembered.node(f"{JOBS}/x")
    assert recalled is not None
    assert recalled.version == 11
    assert remembered.node(f"{JOBS}/j") is None
    remembered.committed(second)
    assert remembered.node(f"{JOBS}/j") is remembered.state.nodes[f"{JOBS}/j"]


def test_who_was_mistaken_takes_back_what_is_not_committed(remembered: Remembered) -> None:
    state = remembered.state
    spec = {"job": f"{JOBS}/j", "index": 2, "count": 3, "steps": STEPS, "requests": REQUESTS, "intent": "run"}
    state.nodes[FIRST] = structs.replace(state.nodes[FIRST], spec=spec)
    state.nodes[desired_path("s", "e")] = node(desired_path("s", "e"), "DesiredEdge", uid="e" * 32)
    state.pools[POOL] = Pool({"cpu": 1000, "memoryBytes": 2**30, "powerW": 10_000}, {"cpu": 500})
    third = f"{desired_path('s', 'e')}/attempts/{attempt_name(OWNER, 2, 1)}"
    before = {**state.nodes}, {**state.pools}, {**state.entries}, {**state.totals}
    kept = admitted(remembered, unit(job("kept")))
    remembered.committed(kept)
    era = remembered.era
    admitted(remembered, unit(Command("patchStatus", FIRST, {"phase": "running"}), actor=EDGE), unit(job("lost")))
    lost = admitted(remembered, unit(Command("patchStatus", FIRST, {"phase": "succeeded"}), actor=EDGE))
    placed = admitted(remembered, unit(Command("create", third, spec, links={"job": (f"{JOBS}/j",)}), actor=SYSTEM))
    assert [*lost.touched.pools] == [POOL]
    assert placed.touched.entries == {(OWNER, 2): None}
    remembered.mistaken()
    assert (remembered.position, remembered.event, remembered.era) == (11, kept.events[-1].id, era + 1)
    assert not remembered.latest
    state.nodes.pop(f"{JOBS}/kept")
    assert (state.nodes, state.pools, state.entries, state.totals) == before
    assert missing(remembered, nodes=[f"{JOBS}/lost"]).rows == 1, "what was taken for new may be there"
    assert missing(remembered, [GROUP, FIRST, f"{JOBS}/kept"], [POOL], [OWNER], [(OWNER, 0), (OWNER, 7)]).rows == 0


def test_what_is_written_behind_others_is_known_with_what_they_wrote(remembered: Remembered) -> None:
    first, second = admitted(remembered, unit(job("x"))), admitted(remembered, unit(job("y")))
    era = remembered.era
    moved, changes = displaced(first, changes_of(first, remembered.state, 0), 10, 13, AT)
    group = node(GROUP, "JobGroup", uid="b" * 32, version=11)
    others = [
        Changed(11, "e11", GROUP, group.uid, went=False),
        Changed(12, "e12", f"{JOBS}/j", OWNER, went=False),
        Changed(13, "e13", f"{JOBS}/none", "f" * 32, went=False),
    ]
    remembered.displaced(changes, [Change(11, "e11", GROUP, group.uid, "JobGroup", group)], others)
    remembered.committed(moved)
    assert (remembered.position, remembered.event, remembered.era) == (14, first.events[0].id, era + 1)
    assert (remembered.latest, remembered.expects) == (True, False)
    assert missing(remembered, nodes=[GROUP, f"{JOBS}/x"]).rows == 0
    assert remembered.node(GROUP) == group, "that was read"
    found = missing(remembered, nodes=[f"{JOBS}/j", f"{JOBS}/none", second.events[0].path]).nodes
    assert found == {f"{JOBS}/j", f"{JOBS}/none", f"{JOBS}/y"}, (
        "what was only told is to be read, what rested on it is void"
    )
    known = remembered.node(f"{JOBS}/x")
    assert known is not None
    assert (known.version, known.created_version) == (14, 14)
    assert suffices(remembered, unit(job("z")))


def test_what_wrote_nothing_stands_where_others_have_come_to(remembered: Remembered) -> None:
    nothing = admitted(remembered, unit(Command("patchSpec", f"{JOBS}/none", {})))
    moved, changes = displaced(nothing, [], 10, 12, AT)
    told = [Changed(at, f"e{at}", f"{JOBS}/t", "f" * 32, went=False) for at in (11, 12)]
    remembered.displaced(changes, [], told)
    remembered.committed(moved)
    assert (remembered.position, remembered.event) == (12, "e12")
    remembered.heard(13)
    assert not remembered.latest


def test_what_only_took_another_time_stands_where_it_was_decided(remembered: Remembered) -> None:
    nothing = admitted(remembered, unit(Command("patchSpec", f"{JOBS}/none", {})))
    remembered.displaced([], [], [])
    remembered.committed(nothing)
    assert (remembered.position, remembered.event, remembered.latest) == (10, "e", True)


def suffices(remembered: Remembered, *units: Unit) -> bool:
    return remembered.suffices(needs(MODEL, units), units)


def test_it_suffices_for_what_is_known_or_must_not_exist(remembered: Remembered) -> None:
    fence, mark = Fence("lease", 1), Advance("mark", 5, 6)
    assert suffices(remembered, unit(job("new")))
    assert suffices(remembered, unit(job("new"), fence=fence, advance=mark), unit(job("newer"), fence=fence))
    assert suffices(remembered, unit(Command("patchSpec", f"{JOBS}/none", {})))
    guards = claimed_guards([unit(job("new"), fence=fence, advance=mark)])
    assert (guards.leases, guards.marks) == ({"lease": 1}, {"mark": 5})


@pytest.mark.parametrize(
    "units",
    [
        [unit(Command("patchSpec", f"{JOBS}/unknown", {}))],
        [unit(Command("apply", f"{JOBS}/unknown", {"steps": job().body["steps"]}))],
        [unit(Command("create", "/config/job-groups/unknown/jobs/j", job().body))],
        [unit(Command("delete", f"{JOBS}/j"))],
        [unit(Command("finalize", f"{JOBS}/j", {"finalizer": "attempts"}), actor=SYSTEM)],
        [unit(job("new"), key="k", digest="d")],
        [unit(Command("create", f"{JOBS}/new", job().body, uid="f" * 32))],
        [unit(advance=Advance("mark", 0, 6))],
        [unit(advance=Advance("mark", 5, 6)), unit(advance=Advance("mark", 6, 7))],
        [unit(fence=Fence("lease", 1)), unit(fence=Fence("lease", 2))],
    ],
)
def test_it_does_not_suffice_for_what_must_be_read(remembered: Remembered, units: Sequence[Unit]) -> None:
    assert not suffices(remembered, *units)


def test_it_does_not_suffice_without_a_clock(remembered: Remembered) -> None:
    clock = remembered.clock
    assert clock is not None
    clock._read_s -= 60.0
    assert not suffices(remembered, unit(job("new")))
    remembered.clock = None
    assert not suffices(remembered, unit(job("new")))


def test_a_clock_never_runs_backwards() -> None:
    clock = Clock(AT, time.monotonic())
    read = [clock.now() for _ in range(1_000)]
    assert read == sorted(read)
    assert read[0] >= AT
    assert read[-1] - AT < timedelta(minutes=1)
    clock._read_s += 3600.0
    assert clock.now() >= read[-1], "even if the machine's did"
    assert clock.trusted
    clock._read_s -= 2 * 3600.0
    assert not clock.trusted
