"""What a deletion does, or would do."""

import msgspec

from datamodel.command import Verdict


class Effects(msgspec.Struct, frozen=True):
    """The paths of the nodes that go, of those that wait until somebody has cleaned up, and of those that let go of a link."""

    deleted: list[str]
    waiting: list[str]
    unlinked: list[str]


def effects_of(verdict: Verdict) -> Effects:
    """What the verdict on a deletion says of it."""
    found: dict[str, list[str]] = {"deleted": [], "deletionRequested": [], "linksChanged": []}
    own = "deleted" if verdict.node is None else "deletionRequested"
    for op, path in [*verdict.effects, (own, verdict.path)]:
        found[op].append(path)
    return Effects(*(sorted(paths) for paths in found.values()))
