"""What is signed for credentials and tokens, when again, and what is revoked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.identity.nkeys import Key
from datamodel.node import Node
from datamodel.scheduling.credentials import Credential, credential_path, leaf_path, token_path
from datamodel.scheduling.wire import GROUP_LIMIT, hosted_edges
from reconcilers.planning.credentials import RENEWED_AFTER, is_worth_something, plan_of, rivals, shared_edge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY, OTHER = (Key("user", bytes([number]) * 32).public for number in (1, 2))
ISSUERS = {"agent": "A-agent", "site": "A-site", "join": "A-join", "leaf": "A-leaf"}
DAY_S = 86_400


def credential(
    *, going: datetime | None = None, generation: int = 1, status: dict[str, Any] | None = None, **spec: Any
) -> Node:
    return node(
        "Credential", credential_path("s", "e"), going, generation, status, {"count": 1, "validS": DAY_S} | spec
    )


def token(status: dict[str, Any] | None = None, **spec: Any) -> Node:
    expires = (NOW + timedelta(days=1)).isoformat()
    return node("JoinToken", token_path("s", "t"), None, 1, status, {"expiresAt": expires, "uses": 1} | spec)


def node(
    kind: str, path: str, going: datetime | None, generation: int, status: dict[str, Any] | None, spec: dict[str, Any]
) -> Node:
    return Node(
        path=path,
        uid="u",
        kind=kind,
        labels={},
        links={},
        spec={"publicKey": KEY, "revoked": False} | spec,
        status=status or {},
        generation=generation,
        version=1,
        created_version=1,
        created_at=NOW,
        finalizers=Credential.finalizers,
        deletion_requested_at=going,
    )


def signed(at: datetime = NOW, **more: Any) -> dict[str, Any]:
    times = {"issuedAt": at.isoformat(), "expiresAt": (at + timedelta(seconds=DAY_S)).isoformat()}
    known = {"phase": "signed", "publicKey": KEY, "issuer": "A-agent", "jwt": "j", "observedGeneration": 1}
    return known | times | more


def test_a_new_one_is_signed_for_its_own_edges() -> None:
    plan = plan_of(credential(count=3), ISSUERS, NOW)
    assert plan.issue is not None
    assert plan.issue.standing.role == "agent"
    assert plan.issue.standing.tags == ["site:s", "agent:e", "edge:e-0", "edge:e-1", "edge:e-2"]
    assert (plan.issue.public, plan.issue.expires) == (KEY, NOW + timedelta(days=1))


@given(st.integers(17, GROUP_LIMIT))
def test_many_edges_are_not_listed(count: int) -> None:
    plan = plan_of(credential(count=count), ISSUERS, NOW)
    assert plan.issue is not None
    assert (plan.issue.standing.role, plan.issue.standing.tags) == ("site", ["site:s", "agent:e"])


@given(st.floats(0, 2))
def test_it_is_signed_anew_before_it_is_over(passed: float) -> None:
    """And not a moment before its time: nothing is written for nothing."""
    now = NOW + timedelta(seconds=passed * DAY_S)
    plan = plan_of(credential(status=signed()), ISSUERS, now)
    assert (plan.issue is not None) == (now >= NOW + RENEWED_AFTER * timedelta(seconds=DAY_S))
    if plan.issue is None:
        assert plan.again_s is not None
        assert 0 < plan.again_s <= RENEWED_AFTER * DAY_S
    assert not plan.revoke


@pytest.mark.parametrize(
    "changed",
    [
        credential(status=signed(observedGeneration=0)),
        credential(status=signed(issuer="A-before")),
        credential(status=signed(phase="revoked", jwt="")),
    ],
)
def test_what_was_asked_anew_or_signed_by_another_is_signed_anew(changed: Node) -> None:
    plan = plan_of(changed, ISSUERS, NOW)
    assert plan.issue is not None
    assert not plan.revoke


@pytest.mark.parametrize("gone", [credential(revoked=True, status=signed()), credential(going=NOW, status=signed())])
def test_what_is_revoked_or_goes_is_worth_nothing(gone: Node) -> None:
    plan = plan_of(gone, ISSUERS, NOW + timedelta(hours=1))
    assert plan.issue is None
    assert plan.revoke == {KEY: int(NOW.timestamp())}
    assert plan_of(gone, ISSUERS, NOW + timedelta(hours=2)).revoke == plan.revoke, "the servers are told once"
    assert not is_worth_something(gone)


def test_what_was_never_signed_need_not_be_revoked() -> None:
    assert plan_of(credential(revoked=True), ISSUERS, NOW).revoke == {}


def test_another_key_is_signed_and_the_former_is_worth_nothing() -> None:
    plan = plan_of(credential(publicKey=OTHER, generation=2, status=signed()), ISSUERS, NOW)
    assert plan.revoke == {KEY: int(NOW.timestamp())}
    assert plan.issue is not None
    assert plan.issue.public == OTHER


def test_an_agent_whose_last_edge_has_no_name_is_refused() -> None:
    long = node("Credential", credential_path("s", "e" * 62), None, 1, None, {"count": 100, "validS": DAY_S})
    plan = plan_of(long, ISSUERS, NOW)
    assert plan.issue is None
    assert "DNS label" in plan.refused


def test_a_token_is_signed_until_its_end_and_never_again() -> None:
    plan = plan_of(token(), ISSUERS, NOW)
    assert plan.issue is not None
    assert (plan.issue.standing.role, plan.issue.standing.tags) == ("join", ["site:s", "token:t"])
    assert plan.issue.expires == NOW + timedelta(days=1)
    status = signed(issuer="A-join")
    assert plan_of(token(status), ISSUERS, NOW + timedelta(hours=23)).issue is None
    over = plan_of(token(status), ISSUERS, NOW + timedelta(days=1))
    assert (over.issue, over.refused) == (None, "it has expired")


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from(["e", "e-0", "e-3", "e-19", "e-3-1", "f", "e-03"]))
def test_agents_that_share_an_edge_are_rivals(count: int, other_count: int, other: str) -> None:
    """Whichever of the two is to be signed finds the other."""
    one = credential(count=count)
    rival = node("Credential", credential_path("s", other), None, 1, None, {"count": other_count, "validS": DAY_S})
    shared = set(hosted_edges("e", count)) & set(hosted_edges(other, other_count))
    if other == "e":
        return
    for mine, theirs in ((one, rival), (rival, one)):
        assert {shared_edge(mine, theirs)} - {""} == shared
        assert not shared or theirs.path in rivals(mine)


def test_a_leaf_node_is_its_sites_and_is_renewed_in_time() -> None:
    leaf = node("LeafNode", leaf_path("s", "leaf"), None, 1, None, {"validS": DAY_S})
    plan = plan_of(leaf, ISSUERS, NOW)
    assert plan.issue is not None
    assert plan.issue.standing == ("leaf", "s/leaf", ["site:s"])
    assert plan.issue.expires == NOW + timedelta(seconds=DAY_S)
    known = node("LeafNode", leaf.path, None, 1, signed(issuer="A-leaf"), {"validS": DAY_S})
    assert plan_of(known, ISSUERS, NOW).issue is None
    assert plan_of(known, ISSUERS, NOW + timedelta(seconds=RENEWED_AFTER * DAY_S)).issue is not None
    assert rivals(leaf) == []
