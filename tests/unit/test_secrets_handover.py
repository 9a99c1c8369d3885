"""Who is handed what: the decision, over all that may be wrong."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.scheduling.attempts import attempt_name
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.handover import HANDED_LIMIT_BYTES, WIRE_VERSION, Ask, Handed
from reconcilers.planning.handover import Denial, Grant, attempt_path, handed, judge
from tests.graph import JOBS

OWNER = "a" * 32
NAME = attempt_name(OWNER, 0, 2)
ASK = Ask(WIRE_VERSION, "s", "e", "e", NAME, "0" * 32)
PATH = attempt_path(ASK)
KEY = "k" * 43 + "="
USES = [{"secret": "b", "key": "value", "env": "B"}, {"secret": "a", "key": "x", "file": "f"}]
GRANT = Grant("/config/job-groups/default", {"a": ("x",), "b": ("value",)}, KEY)


def node(path: str, kind: str, spec: dict[str, object], phase: str = "") -> Node:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    status = {"phase": phase} if phase else {}
    return Node(path, "u", kind, {}, spec, status, {}, (), 1, 1, 1, at)


def present(**changed: object) -> tuple[dict[str, Node], Entry]:
    told = {"intent": "run", "phase": "pending", "agent": "e", "publicKey": KEY, "epoch": 2, "holder": PATH, **changed}
    attempt = {"job": f"{JOBS}/j", "intent": told["intent"], "steps": [{"secrets": USES}, {}, {"secrets": USES[:1]}]}
    edge = {"agent": told["agent"], "publicKey": told["publicKey"]}
    nodes = [
        node(PATH, "Attempt", attempt, str(told["phase"])),
        node(inventory_path("s", "e"), "Edge", edge),
    ]
    entry = Entry(OWNER, 0, int(str(told["epoch"])), "placed", str(told["holder"]))
    return {one.path: one for one in nodes}, entry


def test_the_current_attempt_is_granted_what_its_steps_name() -> None:
    assert judge(ASK, *present()) == GRANT
    assert judge(ASK, *present(phase="running")) == GRANT


@pytest.mark.parametrize(
    "changed",
    [
        {"intent": "stop"},
        {"intent": "abandon"},
        *({"phase": phase} for phase in ("succeeded", "failed", "interrupted", "stopped")),
        {"agent": "another"},
        {"publicKey": None},
        {"holder": f"{desired_path('s', 'e')}/attempts/{attempt_name(OWNER, 0, 3)}"},
        {"holder": f"{desired_path('s', 'other')}/attempts/{NAME}"},
    ],
)
def test_anything_else_is_granted_nothing(changed: dict[str, object]) -> None:
    assert isinstance(judge(ASK, *present(**changed)), str)


@given(st.sampled_from(["site", "agent", "edge", "attempt"]), st.sampled_from(["s", "e", "other", "e-1", NAME]))
def test_who_asks_in_another_name_is_granted_nothing(field: str, value: str) -> None:
    ask = msgspec.structs.replace(ASK, **{field: value})
    nodes, entry = present()
    if ask != ASK:
        assert isinstance(judge(ask, nodes, entry), str)
    assert isinstance(judge(ask, {}, entry), str)
    assert isinstance(judge(ask, nodes, None), str)


def test_no_more_is_handed_than_is_named() -> None:
    found = {"a": {"x": "1", "y": "2"}, "b": {"value": "3"}, "c": {"value": "4"}}
    assert handed(GRANT, found) == {"a": {"x": "1"}, "b": {"value": "3"}}


def test_what_is_missing_is_named() -> None:
    assert handed(GRANT, {"a": {"x": "1"}}) == Denial("SecretMissing", "the group default has no secret b")
    assert handed(GRANT, {"a": {"y": "1"}, "b": {}}) == Denial("SecretMissing", "the secret a has no key x")


def test_there_is_a_most() -> None:
    half = "é" * (HANDED_LIMIT_BYTES // 4)
    assert not isinstance(handed(GRANT, {"a": {"x": half}, "b": {"value": half}}), Denial)
    denied = handed(GRANT, {"a": {"x": half}, "b": {"value": half + "+"}})
    assert isinstance(denied, Denial)
    assert denied.reason == "SecretsTooLarge"


def test_what_is_handed_is_not_shown() -> None:
    assert "s3cr3t" not in repr(Handed(NAME, "0", {"a": {"x": "s3cr3t"}}))
