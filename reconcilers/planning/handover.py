"""Which secrets an edge may be handed. Pure."""

from collections.abc import Mapping

import msgspec

from datamodel.ledger import Entry
from datamodel.node import Node
from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED, RUN
from datamodel.scheduling.edges import desired_path, inventory_path
from datamodel.scheduling.handover import HANDED_LIMIT_BYTES, Ask, Reason


class Grant(msgspec.Struct, frozen=True):
    """Keys by secret, of the job group at the path `group`, sealed to the public key `key`."""

    group: str
    uses: Mapping[str, tuple[str, ...]]
    key: str


class Denial(msgspec.Struct, frozen=True):
    """The attempt cannot start, whatever is tried."""

    reason: Reason
    message: str


def attempt_path(ask: Ask) -> str:
    return f"{desired_path(ask.site, ask.edge)}/attempts/{ask.attempt}"


def judge(ask: Ask, nodes: Mapping[str, Node], entry: Entry | None) -> Grant | str:
    """What is granted, or why nothing is. `nodes` are the attempt and the edge as they are, `entry` is the chunk's in the
    ledger: it must be this attempt that is the current one there, wanted and not ended, on an edge of this very agent."""
    path = attempt_path(ask)
    attempt, edge = nodes.get(path), nodes.get(inventory_path(ask.site, ask.edge))
    if not wire.hosts(ask.agent, ask.edge) or edge is None or edge.spec["agent"] != ask.agent:
        return "the edge is not this agent's"
    if attempt is None or attempt.deletion_requested_at is not None:
        return "there is no such attempt"
    if attempt.spec["intent"] != RUN or attempt.phase in ENDED:
        return "the attempt is not to run"
    if entry is None or entry.holder != path:
        return "the attempt is not the chunk's current one"
    key = edge.spec.get("publicKey")
    if not key:
        return "the edge has told no key"
    uses: dict[str, set[str]] = {}
    for step in attempt.spec["steps"]:
        for use in step.get("secrets", ()):
            uses.setdefault(use["secret"], set()).add(use["key"])
    group, _, _ = attempt.spec["job"].rpartition("/jobs/")
    return Grant(group, {name: tuple(sorted(keys)) for name, keys in sorted(uses.items())}, key)


def handed(grant: Grant, found: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]] | Denial:
    """The values that a grant names, of those of the group's secrets that were `found`."""
    values: dict[str, dict[str, str]] = {}
    for name, keys in grant.uses.items():
        if name not in found:
            return Denial("SecretMissing", f"the group {grant.group.rpartition('/')[2]} has no secret {name}")
        missing = [key for key in keys if key not in found[name]]
        if missing:
            return Denial("SecretMissing", f"the secret {name} has no key {missing[0]}")
        values[name] = {key: found[name][key] for key in keys}
    size = sum(len(value.encode()) for of in values.values() for value in of.values())
    if size > HANDED_LIMIT_BYTES:
        return Denial("SecretsTooLarge", f"the secrets are {size} bytes; an attempt has at most {HANDED_LIMIT_BYTES}")
    return values
