"""Logs that were written once are still read: decoded, upcast, folded to the projection that they had, and audited."""

import re
from pathlib import Path

import msgspec
import pytest

from datamodel.audit import Audit
from datamodel.event import Event
from datamodel.invariants import violations
from datamodel.model import Model
from datamodel.rows import Rows
from datamodel.scheduling import model as scheduling
from datamodel.state import State, fold
from datamodel.upcast import upcast_event, upcast_node
from tests import garden, garden_later
from tests.golden.projection import Projection, decoded
from tests.golden.write import FOLDER, HISTORIES, written

MODELS = {"garden": [garden.MODEL, garden_later.MODEL], "scheduling": [scheduling.MODEL]}
LOGS = [(log, model) for log in sorted(FOLDER.glob("*.jsonl")) for model in MODELS[log.stem.rpartition("-")[0]]]


@pytest.mark.parametrize(("log", "model"), LOGS, ids=[f"{log.stem} {len(model.kinds)}" for log, model in LOGS])
def test_a_golden_log_is_read(log: Path, model: Model) -> None:
    state, audit = State(), Audit(model)
    for line in log.read_bytes().splitlines():
        stored = msgspec.json.decode(line, type=Event)
        known, kept = msgspec.to_builtins(stored), msgspec.json.decode(line)
        assert {name: known.get(name) for name in kept} == kept, "nothing of it is lost"
        event = upcast_event(model, stored)
        fold(model, state, event)
        state.commit()
        assert audit.step(event) == []
    projection = decoded(log.with_suffix(".projection.json").read_bytes())
    found = Projection.of(state)
    assert found.nodes == {path: upcast_node(model, node) for path, node in projection.nodes.items()}
    assert (found.pools, found.ledger, found.totals) == (projection.pools, projection.ledger, projection.totals)
    assert list(violations(model, state)) == []
    assert list(audit.compare(Rows.of(model, state))) == []


def test_every_kind_of_event_is_in_them() -> None:
    """And every kind of node of the scheduling model."""
    lines = [line for log in FOLDER.glob("*.jsonl") for line in log.read_text().splitlines()]
    ops = {found[1] for line in lines if (found := re.search(r'"op":"(\w+)"', line))}
    kinds = {found[1] for line in lines if (found := re.search(r'"kind":"(\w+)"', line))}
    assert ops >= {
        "created",
        "specChanged",
        "statusChanged",
        "labelsChanged",
        "finalized",
        "deletionRequested",
        "deleted",
    }
    assert kinds >= scheduling.MODEL.kinds.keys() | garden.MODEL.kinds.keys()


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_history_is_written_the_same_each_time(name: str) -> None:
    assert await written(name) == await written(name)
