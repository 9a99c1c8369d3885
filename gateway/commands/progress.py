"""Waiting for a node, and what is shown meanwhile: a bar on a terminal, elsewhere a line for each change."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from gateway.commands.cells import clean, member, shown
from gateway.commands.changes import changes
from gateway.commands.client import Client
from gateway.commands.conditions import PHASE, Condition, HasValue
from gateway.commands.failure import Exit, Failure
from gateway.commands.jobs import JOB
from gateway.commands.names import Target
from gateway.commands.printing import is_terminal, remark
from gateway.commands.watch import alone

if TYPE_CHECKING:
    from rich.progress import Progress

Document = dict[str, Any]


def until(client: Client, target: Target, condition: Condition) -> Document | None:
    """The node once the condition is so, None where it has to be gone. Raises `Failure` once it never will be so."""
    listed, parameters = alone(target, {})
    node: Document | None = None
    uid = ""
    with showing(target) as progress:
        try:
            for change in changes(client, listed, parameters):
                if change is not None:
                    node = change.node if change.what != "deleted" else None
                    progress.show(node)
                    if node is not None and uid not in ("", node["metadata"]["uid"]):
                        node = None  # the one that is waited for is gone: this is another
                    uid = uid or change.node["metadata"]["uid"]
                    continue
                match condition.state(node):
                    case "so":
                        return node
                    case "never":
                        raise _never(target, node, condition, found=bool(uid))
        except Failure as failure:
            if failure.code is Exit.MISSING and condition.state(None) == "so":
                return None
            raise
    raise AssertionError("changes have no end")


def _never(target: Target, node: Document | None, condition: Condition, *, found: bool) -> Failure:
    if node is not None:
        told = f"{target.title} has {clean(str(member(node, PHASE)))}"
        if isinstance(condition, HasValue):
            value = shown(member(node, condition.path), "text", None)
            told += f", and its {condition.path} is {value}"
        verb = "explain" if target.kind.name == JOB else "describe"
        return Failure(told, f"`tendril {verb} {target.title}` says more", Exit.FAILED)
    if found:
        return Failure(f"{target.title} was deleted", target.step, Exit.FAILED)
    return Failure(f"{target.path} does not exist", target.step, Exit.MISSING)


class Lines:
    """A line where a node's phase, or its whole percents, are not what they were."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._told = ""

    def show(self, node: Document | None) -> None:
        phase, percent = state_of(self._target, node)
        told = f"{self._target.title} {phase}" + (f" {percent:.0f}%" if percent is not None else "")
        if told != self._told:
            remark(told)
        self._told = told


class Bar:
    """A bar that fills."""

    def __init__(self, target: Target, progress: "Progress") -> None:
        self._target = target
        self._progress = progress
        self._task = progress.add_task(target.title, total=None)

    def show(self, node: Document | None) -> None:
        phase, percent = state_of(self._target, node)
        total = None if percent is None else 100.0
        self._progress.update(
            self._task, description=f"{self._target.title} {phase}", completed=percent or 0.0, total=total
        )


class _Shown(AbstractContextManager["Bar"]):
    def __init__(self, target: Target) -> None:
        from rich.console import Console  # noqa: PLC0415 - 50 ms that nobody needs without a terminal
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        self._target = target
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> Bar:
        self._progress.start()
        return Bar(self._target, self._progress)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def showing(target: Target) -> AbstractContextManager[Bar | Lines]:
    """What shows how far a node is, on stderr."""
    return _Shown(target) if is_terminal(sys.stderr) else nullcontext(Lines(target))


def state_of(target: Target, node: Document | None) -> tuple[str, float | None]:
    """A node's phase, and what is done of it in percent where its kind has a column for that."""
    if node is None:
        return "deleted", None
    column = next((column for column in target.kind.columns if column.format == "percent"), None)
    percent = member(node, column.path) if column is not None else None
    deleting = "deletionRequestedAt" in node["metadata"]
    phase = "deleting" if deleting else clean(str(member(node, PHASE) or "present"))
    return phase, float(percent) if isinstance(percent, int | float) else None
