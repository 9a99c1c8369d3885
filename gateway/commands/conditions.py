"""What is waited for: whether a node is so, may still become so, or never will."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gateway.commands.cells import member
from gateway.commands.failure import Failure
from gateway.commands.kinds import KindInfo

Document = dict[str, Any]
State = Literal["so", "not yet", "never"]
PHASE = "status.phase"
FINISHED, DELETED, SUCCEEDED = "finished", "deleted", "succeeded"


class Condition(Protocol):
    """What is waited for. None is a node that is not there."""

    def state(self, node: Document | None) -> State: ...


@dataclass(frozen=True, slots=True)
class InPhase:
    """The node is in one of `phases`; from one of `ends` it never will be."""

    phases: Collection[str]
    ends: Collection[str]

    def state(self, node: Document | None) -> State:
        phase = member(node, PHASE)
        if phase in self.phases:
            return "so"
        return "never" if node is None or phase in self.ends else "not yet"


@dataclass(frozen=True, slots=True)
class HasValue:
    """What is at a dotted path is shown as a text."""

    path: str
    value: str

    def state(self, node: Document | None) -> State:
        if node is None:
            return "never"
        found = member(node, self.path)
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return "so" if found is not None and text == self.value else "not yet"


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such node, or another one that was made since."""

    def state(self, node: Document | None) -> State:
        return "so" if node is None else "not yet"


def condition_of(text: str, kind: KindInfo) -> Condition:
    """What `--for` says: `deleted`, `finished`, a phase, or `field=value`. Raises `Failure`."""
    if text == DELETED:
        return Gone()
    path, equals, value = text.partition("=")
    if equals and path:
        if path.partition(".")[0] not in ("metadata", "spec", "status"):
            raise Failure(f"--for: {path!r} is no field", f"begin it with metadata, spec or status, as {PHASE}=running")
        return HasValue(path, value)
    if text == FINISHED and kind.finished:
        return InPhase(kind.finished, kind.finished)
    if text in kind.phases:
        return InPhase((text,), kind.finished)
    known = ", ".join((*kind.phases, *((FINISHED,) if kind.finished else ()), DELETED))
    raise Failure(f"--for: {kind.singular} has no phase {text!r}", f"say one of {known}, or FIELD=VALUE")


def default_for(kind: KindInfo) -> str:
    """What is waited for where nobody says it."""
    return SUCCEEDED if SUCCEEDED in kind.phases else ""
