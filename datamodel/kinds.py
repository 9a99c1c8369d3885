"""Declaring kinds: what a node of the graph can be, said once, in one class.

A kind names its plane (who may write), its place (parent and collection), the shape of its `Spec` and `Status`, and the
rules that the rule book keeps for it: phases, links, finalizers, what it offers to others, what it reserves, and the
ledger entry that it settles. All rules are pure functions of the node's own path, spec and status.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from datamodel.ledger import Entry

Document = dict[str, Any]
"""A JSON object as Python holds it: a spec, a status or a part of one, with camelCase keys."""

Amounts = Mapping[str, int]
"""Integers by resource name; each resource has one unit, its smallest (milli-cores, bytes, milliwatts)."""


USER, SYSTEM = "user", "system"
"""The role of whoever writes through the gateway, and the one that programs which reconcile have by custom."""


class Part(BaseModel):
    """The base of every spec and status: camelCase outside, unknown fields refused, frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, ser_json_inf_nan="strings"
    )


@dataclass(frozen=True, slots=True)
class Immutable:
    """The mark of a field that stays as its node was created with it: `Annotated[int, IMMUTABLE]`. With `once`, it stays from
    when it has that value: `Annotated[bool, Immutable(once=True)]`."""

    once: Any = None


IMMUTABLE = Immutable()

TEMPLATE = Immutable(once=object())
"""The mark of a field that is free with all that is in it, whatever is immutable in nodes of that shape: no value is the one
from which it stays."""


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""The type of a field whose value can be a node's name: a DNS label."""


class SecretReference(Part):
    """Where a secret is kept, and never the secret itself: nothing of it may be in the log."""

    name: Annotated[str, StringConstraints(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    key: Annotated[str, StringConstraints(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Which of the secret's values."""


class Empty(Part):
    """The spec or status of a kind that has none."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A top-level part of the graph and the roles that may write it. `root` is the path of its singleton."""

    name: str
    spec_writers: frozenset[str]
    status_writers: frozenset[str]
    scoped: frozenset[str] = frozenset()
    """Roles that may write only below the scopes of their actor (`Actor.scopes`)."""

    root: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", f"/{self.name}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role may do to the specs of a kind that it does not write: the operations `ops`, and to patch a spec by one of
    these bodies, as they stand."""

    ops: frozenset[str]
    patches: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class Phases:
    """A lifecycle as a table: from each phase, the phases that may follow. Terminal phases have none. `rests`: phases that
    only somebody's wish leads on from, so whoever waits for an end has found it there too. `afterwards`: members of the status
    that may change in a terminal phase, in which all others stay as they are. `vacant`: phases that others may follow, and in
    which nothing is reserved any more all the same."""

    initial: str
    allowed: Mapping[str, frozenset[str]]
    rests: frozenset[str] = frozenset()
    afterwards: frozenset[str] = frozenset()
    vacant: frozenset[str] = frozenset()

    @property
    def finished(self) -> frozenset[str]:
        """Phases in which nothing more happens by itself."""
        return frozenset().union(*self.allowed.values()).difference(self.allowed) | self.rests

    def permits(self, before: str, after: str) -> bool:
        return before == after or after in self.allowed.get(before, frozenset())

    def is_terminal(self, phase: str) -> bool:
        return not self.allowed.get(phase)


@dataclass(frozen=True, slots=True)
class Link:
    """A typed reference to nodes of the kind named `to`, which must exist when the link is made; `reverse` names the way
    back. It has one target at most, or any number where it is `many`; `required`: never none.

    `gone` is what happens when a target is to go: `restrict` refuses it, `unlink` takes the target away from the source,
    `cascade` deletes the source too, and with `keep` the source keeps the uid of what is gone.
    """

    to: str
    reverse: str
    many: bool = False
    required: bool = False
    gone: Literal["restrict", "unlink", "cascade", "keep"] = "restrict"


@dataclass(frozen=True, slots=True)
class Offer:
    """Nodes of this kind are pools, named by their path: `capacity(spec)` is what others may reserve of them."""

    capacity: Callable[[Document], Amounts]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Nodes of this kind take `amounts(spec)` of the pool `pool(path)` for as long as `held(status)`.

    The rule book refuses a creation above the pool's capacity and the deletion of a node that still holds.
    """

    pool: Callable[[str], str]
    amounts: Callable[[Document], Amounts]
    held: Callable[[Document], bool]


class Claim(msgspec.Struct, frozen=True):
    """Which ledger entry a node claims, read from its name: the owner's uid, the index and the claim's epoch."""

    owner: str
    index: int
    epoch: int


def _nothing(*_: object, **__: object) -> None:
    """No older epoch is adopted, and no spec refused."""


@dataclass(frozen=True, slots=True)
class Settle:
    """Nodes of this kind are attempts at a numbered piece of their owner's work, and settle its ledger entry.

    Pieces are begun in order, so what of an owner's work was never begun is always "from here on": a number, not rows.

    `begin(entry, claim, path, spec)` is the entry once the node is created, or the reason why it may not be. `advance(entry,
    spec, status)` is the entry that follows from the node's present, asked only while the node's epoch is the entry's.
    `verdict(entry, claim, spec, status)` is what the node's status says of its settlement once it has ended.

    An older epoch changes nothing but where `adopt(entry, claim, path, spec, status, ended=…)` gives the entry that takes its
    result: asked when such a node changes, and when one changes that has `ended` before. `object(entry, claim, before, spec,
    status)` is why a node's spec may not become `spec`, where it may not.
    """

    owner: str
    """The link that must lead to the claim's owner when the node is created."""
    claim: Callable[[str], Claim | None]
    begin: Callable[[Entry | None, Claim, str, Document], Entry | str]
    advance: Callable[[Entry, Document, Document], Entry]
    final: frozenset[str]
    """Phases of an entry that its holder changes no more: the piece is counted."""
    verdict: Callable[[Entry | None, Claim, Document, Document], Document]
    adopt: Callable[..., Entry | None] = _nothing
    object: Callable[[Entry | None, Claim, Document, Document, Document], str | None] = _nothing


@dataclass(frozen=True, slots=True)
class Column:
    """What a list shows of each node: `path` leads from `metadata`, `spec` or `status` to a member, as in `status.phase`."""

    name: str
    path: str
    format: Literal["text", "number", "bytes", "percent", "age"] = "text"
    """`bytes` is shown with its unit, `percent` of 100, `age` is how long ago a time was."""


def _unchanged(document: Document) -> Document:
    return document


@dataclass(frozen=True, slots=True)
class Upcast:
    """How documents of one version of a kind become the next one's. Both are pure functions that return new documents, of the
    shape and with the defaults of their time. What the kind offers, reserves and settles, and `status.phase`, must stay as
    they were: they are stored beside the node."""

    spec: Callable[[Document], Document] = _unchanged
    status: Callable[[Document], Document] = _unchanged


class Kind:
    """The base of every declaration. The class name is the kind's name; the docstring is its documentation."""

    plane: ClassVar[Plane]
    parent: ClassVar["type[Kind] | None"] = None
    """None for a plane's root."""
    segment: ClassVar[str]
    """The collection's name under the parent, or the singleton's own."""
    singleton: ClassVar[bool] = False

    Spec: ClassVar[type[Part]] = Empty
    Status: ClassVar[type[Part]] = Empty

    phases: ClassVar[Phases | None] = None
    """The lifecycle of `status.phase`."""
    links: ClassVar[Mapping[str, Link]] = {}
    selectable: ClassVar[tuple[str, ...]] = ()
    """Scalar fields that nodes are found by, as "status.phase" or "spec.height". Each is a row beside every node of the kind,
    written when it changes. "metadata.name" can always be asked for."""
    once: ClassVar[frozenset[str]] = frozenset()
    """Members of the status that stay as they are from when they are there."""
    finalizers: ClassVar[tuple[str, ...]] = ()
    """Owners that must clean up before a deletion is done, put on every new node."""
    spec_writers: ClassVar[frozenset[str] | None] = None
    """Overrides the plane's, for the kinds between the plane's root and what its scoped writers describe."""
    grants: ClassVar[Mapping[str, Grant]] = {}
    """By role, what others than the spec's writers may do beside them. The log says who it was."""
    offer: ClassVar[Offer | None] = None
    reserve: ClassVar[Reserve | None] = None
    settle: ClassVar[Settle | None] = None

    columns: ClassVar[tuple[Column, ...]] = ()
    """What a list shows beside the name."""
    examples: ClassVar[tuple[Document, ...]] = ()
    """Specs as somebody would write them, for the documentation of the API."""

    version: ClassVar[int] = 1
    """Of `Spec` and `Status`; one more with every change after which what is stored is not of their shape."""
    upcasts: ClassVar[Mapping[int, Upcast]] = {}
    """By version, the way to the next one."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A node that exists from the first start on."""

    path: str
    spec: Document = field(default_factory=dict)
