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
_OBSERVED, _GENERATION = "status.observedGeneration", "metadata.generation"
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
        if node is None:
            return "never"
        if _is_behind(node, self.ends):
            return "not yet"
        phase = member(node, PHASE)
        return "so" if phase in self.phases else "never" if phase in self.ends else "not yet"


@dataclass(frozen=True, slots=True)
class HasValue:
    """What is at a dotted path is shown as a text, or is the number that it says. Of the status, nothing is news any more once
    its phase is one of `ends`."""

    path: str
    value: str
    ends: Collection[str]

    def state(self, node: Document | None) -> State:
        if node is None:
            return "never"
        found = member(node, self.path)
        told = self.path.partition(".")[0] == "status"
        if told and _is_behind(node, self.ends):
            return "not yet"
        if _is_shown(found, self.value):
            return "so"
        return "never" if told and member(node, PHASE) in self.ends else "not yet"


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such node, or another one that was made since."""

    def state(self, node: Document | None) -> State:
        return "so" if node is None else "not yet"


def has_ended(node: Document, ends: Collection[str]) -> bool:
    """Whether a node is in one of these phases, for good."""
    return member(node, PHASE) in ends and not _is_behind(node, ends)


def _is_behind(node: Document, ends: Collection[str]) -> bool:
    """Whether the status is still that of an older spec: after a retry, a job shows the end of what it was. One that was never
    told of (generation 0) is what all begin with, and so true."""
    observed, generation = member(node, _OBSERVED), member(node, _GENERATION)
    if observed is None or generation is None or observed >= generation:
        return False
    return bool(observed > 0 or member(node, PHASE) in ends)


def _is_shown(found: Any, text: str) -> bool:
    if isinstance(found, bool):
        return str(found).lower() == text
    if isinstance(found, int | float):
        try:
            return str(found) == text or found == float(text)
        except ValueError:
            return False
    return found is not None and str(found) == text


def condition_of(text: str, kind: KindInfo) -> Condition:
    """What `--for` says: `deleted`, `finished`, a phase, or `field=value`. Raises `Failure`."""
    if text == DELETED:
        return Gone()
    path, equals, value = text.partition("=")
    if equals and path:
        if path.partition(".")[0] not in ("metadata", "spec", "status"):
            raise Failure(f"--for: {path!r} is no field", f"begin it with metadata, spec or status, as {PHASE}=running")
        return HasValue(path, value, kind.finished)
    if text == FINISHED and kind.finished:
        return InPhase(kind.finished, kind.finished)
    if text in kind.phases:
        return InPhase((text,), kind.finished)
    known = ", ".join((*kind.phases, *((FINISHED,) if kind.finished else ()), DELETED))
    raise Failure(f"--for: {kind.singular} has no phase {text!r}", f"say one of {known}, or FIELD=VALUE")


def default_for(kind: KindInfo) -> str:
    """What is waited for where nobody says it."""
    return SUCCEEDED if SUCCEEDED in kind.phases else ""
