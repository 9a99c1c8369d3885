"""Commands: what callers want to happen, and the verdicts on them."""

from typing import Literal

import msgspec

from datamodel.errors import TendrilError
from datamodel.event import Op as EventOp
from datamodel.kinds import Document
from datamodel.node import Node

Op = Literal["create", "apply", "patchSpec", "jsonPatch", "patchStatus", "link", "unlink", "delete", "finalize"]


class Command(msgspec.Struct, frozen=True, gc=False):
    """One wish for one node.

    * `create`: the node must not exist. `apply`: creates it, or makes its spec and labels as told, where others own fields that
      are not named.
    * `patchSpec`, `patchStatus`: a JSON merge patch (RFC 7396) in `body`. `jsonPatch`: a JSON patch (RFC 6902) of the spec in
      `body["patch"]`.
    * `link`, `unlink`: adds the node at the path `body["target"]` to the targets of the link named `body["link"]`, or takes it
      away.
    * `delete`: with everything below it. `finalize`: takes the finalizer named in `body["finalizer"]` away.

    `expected_version` refuses the command where the node has changed since. `links` maps link names to the paths of all their
    targets; `apply` leaves links as they are that it does not name. An empty `cause` or `correlation` is the unit's.
    """

    op: Op
    path: str
    body: Document = {}
    labels: dict[str, str] | None = None
    links: dict[str, tuple[str, ...]] = {}
    uid: str = ""
    expected_version: int | None = None
    cause: str = ""
    correlation: str = ""


class Actor(msgspec.Struct, frozen=True):
    """Who writes: a name for the record, a role that planes know, and for scoped roles the paths (below a plane's root)
    that it may write, each with everything under it."""

    name: str
    role: str
    scopes: frozenset[str] = frozenset()


class Fence(msgspec.Struct, frozen=True):
    """A lease that must still be held, by the token of its acquisition, when the unit is admitted."""

    lease: str
    token: int


class Advance(msgspec.Struct, frozen=True):
    """Moves a mark (how far a numbered source has been taken in) from `after` to `through`, with the unit or not at all."""

    mark: str
    after: int
    through: int


class Unit(msgspec.Struct, frozen=True, gc=False):
    """Commands that are sent together. `atomic`: all or none; otherwise each stands for itself. Guards (fence, advance,
    idempotency `key`) hold for the whole unit. `digest` tells a replayed key from a reused one. `dry_run`: all is judged, the
    verdicts tell what would be (with uids that will be others), and nothing is written. `cause` and `correlation` (see
    `datamodel.cause`) are for the record; where there is no correlation, an event has that of its node."""

    commands: tuple[Command, ...]
    actor: Actor
    atomic: bool = True
    cause: str = ""
    correlation: str = ""
    key: str = ""
    digest: str = ""
    fence: Fence | None = None
    advance: Advance | None = None
    dry_run: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What became of one command. `version` is the node's after it, `node` its image then (None where it is gone). `effects`
    are what it does to other nodes, in order: the events' op and path. What an idempotency key replays is `unchanged` too, and
    tells no image and no effects."""

    outcome: Literal["changed", "unchanged", "refused"]
    path: str
    uid: str = ""
    version: int = 0
    replayed: bool = False
    node: Node | None = None
    effects: tuple[tuple[EventOp, str], ...] = ()
    error: TendrilError | None = None


Outcome = tuple[Verdict, ...]
"""The verdicts of a unit, one for each command in order."""


def raise_refused(outcome: Outcome) -> Outcome:
    """The outcome itself; raises the first refusal in it."""
    for verdict in outcome:
        if verdict.error is not None:
            raise verdict.error
    return outcome
