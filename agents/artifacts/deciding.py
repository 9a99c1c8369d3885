"""When an attempt with artifacts has ended, and how: a pure function of its steps' end and of how far its files are."""

from msgspec.structs import replace

from agents.convergence import ReportEnd
from agents.runtimes.protocol import Refusal
from datamodel.scheduling.attempts import RUN
from datamodel.scheduling.wire import KeptArtifact

Sent = tuple[KeptArtifact, ...] | Refusal | None
"""All artifacts of an attempt as they are at the hub, why they never will be, or neither yet."""


def end_of(end: ReportEnd, intent: str, sent: Sent) -> ReportEnd | None:
    """The end of an attempt whose steps came to `end`, None where it is not to be told yet. One counts as succeeded only once
    all that it leaves is at the hub; one that is not wanted any more does not wait for that."""
    if isinstance(sent, Refusal):
        return ReportEnd("failed", end.exit_codes, sent.reason, sent.message)
    if sent is not None:
        return replace(end, artifacts=sent)
    if intent != RUN:
        return ReportEnd("stopped", end.exit_codes, "Stopped", "not all of its artifacts were at the hub")
    return None
