"""What an admission becomes that is written further on in the log than it was decided for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import structs

from datamodel.admission import Admission, Guards
from datamodel.command import Command, Unit
from datamodel.postgres.displacement import displaced
from datamodel.postgres.recent import changes_of
from datamodel.rulebook import admit
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from datamodel.state import State, fold
from tests.graph import JOBS, counted_ids, done, job, memory_store, unit

THEN = datetime(2030, 1, 1, tzinfo=UTC)
LATER = THEN + timedelta(seconds=1)


def admitted(state: State, units: Sequence[Unit], after: int, now: datetime) -> Admission:
    return admit(MODEL, state, Guards(), units, after, now, counted_ids())


async def furnished() -> tuple[State, State]:
    """What the model seeds, and a job: twice the same."""
    store = memory_store()
    await seed(store)
    await done(store, job("old"))
    nodes = await store.nodes([*(node.path for node in MODEL.seeds), f"{JOBS}/old"])
    old = {path: structs.replace(node, version=1, created_version=1) for path, node in nodes.items()}
    one, other = State(), State()
    one.nodes, other.nodes = {**old}, {**old}
    return one, other


async def test_it_is_what_would_have_been_decided_there() -> None:
    units = [
        unit(job("new"), Command("patchSpec", f"{JOBS}/new", {"retries": 3}), Command("patchSpec", f"{JOBS}/new", {})),
        unit(Command("patchSpec", f"{JOBS}/old", {"retries": 3}, {"zone": "a"})),
        unit(Command("patchSpec", f"{JOBS}/none", {}), Command("patchSpec", "/config/job-groups/default", {})),
    ]
    here, there = await furnished()
    decided = admitted(here, units, 2, THEN)
    expected = admitted(there, units, 9, LATER)
    moved, changes = displaced(decided, changes_of(decided, here, 600), 2, 9, LATER)
    assert moved.events == expected.events
    assert [event.position for event in moved.events] == [10, 11, 12, 13]
    assert changes == changes_of(expected, there, 600)
    for outcome, other in zip(moved.outcomes, expected.outcomes, strict=True):
        assert [(v.outcome, v.path, v.uid, v.version, v.node, v.effects) for v in outcome] == [
            (v.outcome, v.path, v.uid, v.version, v.node, v.effects) for v in other
        ]


async def test_its_events_fold_to_its_nodes() -> None:
    state, folded = await furnished()
    decided = admitted(state, [unit(job("new"), Command("patchSpec", f"{JOBS}/new", {"retries": 3}))], 2, THEN)
    moved, changes = displaced(decided, changes_of(decided, state, 0), 2, 7, LATER)
    for event in moved.events:
        fold(MODEL, folded, event)
    assert changes[-1].node == folded.nodes[f"{JOBS}/new"]
    assert changes[0].node is changes[1].node, "one image is one node still"
