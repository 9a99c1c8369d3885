"""What is to be signed for a credential or a token, when again, and what of it is worth nothing any more."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from datamodel.errors import Invalid
from datamodel.names import check_name
from datamodel.node import Node
from datamodel.scheduling.credentials import REVOKED, SIGNED, credential_path, holder_of
from datamodel.scheduling.permissions import Standing, standing
from datamodel.scheduling.wire import hosted_edges, is_hosted

RENEWED_AFTER = 0.6
"""Of its time: the agent is told when a third is left, and has that long for it where nobody answers."""


class Issue(NamedTuple):
    """A user's JWT to sign."""

    standing: Standing
    public: str
    expires: datetime


class Plan(NamedTuple):
    """`revoke`: by public key, the second up to which nothing that was signed for it is worth anything. `again_s`: when to look
    again."""

    revoke: Mapping[str, int] = {}
    issue: Issue | None = None
    refused: str = ""
    again_s: float | None = None


def plan_of(node: Node, issuers: Mapping[str, str], now: datetime) -> Plan:
    """Of a credential or a token that may be on its way out. `issuers` are the keys that each role's are signed with now."""
    spec, status = node.spec, node.status
    known = status.get("publicKey", "")
    if node.deletion_requested_at is not None or spec["revoked"]:
        return Plan(_signed(node))
    revoke = _signed(node) if known not in ("", spec["publicKey"]) else {}
    try:
        found = _standing(node)
    except Invalid as error:
        return Plan(revoke, refused=error.message)
    expires = _expires(node, now)
    if expires <= now:
        return Plan(revoke, refused="it has expired")
    if status.get("phase") == SIGNED and not revoke and status.get("observedGeneration") == node.generation:
        renewed = _renewed_at(node)
        if status.get("issuer") == issuers[found.role] and now < renewed:
            return Plan(again_s=(renewed - now).total_seconds())
    return Plan(revoke, Issue(found, spec["publicKey"], expires))


def _signed(node: Node) -> Mapping[str, int]:
    """The key that something was signed for, and when that was last."""
    issued = node.status.get("issuedAt")
    return {node.status["publicKey"]: int(datetime.fromisoformat(issued).timestamp())} if issued is not None else {}


def is_worth_something(node: Node) -> bool:
    """Whether what is signed with its key counts: nobody has revoked it."""
    return not node.spec["revoked"] and node.deletion_requested_at is None and node.status.get("phase") != REVOKED


def rivals(node: Node) -> list[str]:
    """Where other agents of its site stand, if they are there, that could host an edge of the same name."""
    site, agent = holder_of(node.path)
    if node.kind != "Credential":
        return []
    if node.spec["count"] > 1:
        return [credential_path(site, edge) for edge in hosted_edges(agent, node.spec["count"])]
    prefix = agent.rpartition("-")[0]
    return [credential_path(site, prefix)] if prefix else []


def shared_edge(node: Node, rival: Node) -> str:
    """An edge that both would host; empty where there is none."""
    (_, one), (_, other) = holder_of(node.path), holder_of(rival.path)
    if node.spec["count"] == 1:
        return one if is_hosted(other, one, rival.spec["count"]) else ""
    return other if rival.spec["count"] == 1 and is_hosted(one, other, node.spec["count"]) else ""


def _standing(node: Node) -> Standing:
    """Raises `Invalid` where no such agent can be."""
    site, name = holder_of(node.path)
    if node.kind == "JoinToken":
        return Standing("join", f"{site}/{name}", [f"site:{site}", f"token:{name}"])
    if node.kind == "LeafNode":
        return Standing("leaf", f"{site}/{name}", [f"site:{site}"])
    edges = hosted_edges(name, node.spec["count"])
    check_name(edges[-1])
    return standing(site, name, edges)


def _expires(node: Node, now: datetime) -> datetime:
    if node.kind == "JoinToken":
        return datetime.fromisoformat(node.spec["expiresAt"])
    return now + timedelta(seconds=node.spec["validS"])


def _renewed_at(node: Node) -> datetime:
    """When it is signed anew. A token is not."""
    issued, expires = (datetime.fromisoformat(node.status[name]) for name in ("issuedAt", "expiresAt"))
    return expires if node.kind == "JoinToken" else issued + RENEWED_AFTER * (expires - issued)
