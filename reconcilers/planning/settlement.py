"""From an agent's reports to commands: which parts of the graph they change, and which reports cannot be believed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import asdict

from datamodel.cause import report_cause
from datamodel.command import Actor, Command
from datamodel.errors import Invalid, TendrilError
from datamodel.kinds import Document
from datamodel.names import check_labels, check_name
from datamodel.parts import DEPTH_LIMIT, check_labels_size, has_zero_byte, is_too_deep, normal_spec
from datamodel.scheduling import wire
from datamodel.scheduling.artifacts import ARTIFACTS_LIMIT
from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.edges import Edge, desired_path, inventory_path
from datamodel.scheduling.jobs import FAILED
from datamodel.scheduling.planes import EDGE
from datamodel.scheduling.steps import STEPS_LIMIT
from datamodel.scheduling.windows import decode_report

OUTPUTS_LIMIT_BYTES = 64 * 1024
"""Of one chunk. With the largest spec and messages it stays a node that the store takes, so an end is never refused."""
EXIT_CODE_LIMIT = 2**32
_NO_DOCUMENT: Document = {}


@dataclass(slots=True)
class Settlement:
    """What a run of reports comes to. Patches of the same node are merged, in order of first mention, and have the last report
    that they come from as their cause. `source` is whose reports they are: `SITE/AGENT/INCARNATION`."""

    source: str = ""
    registrations: dict[str, Command] = field(default_factory=dict)
    patches: dict[str, Document] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    rejected: list[tuple[str, bytes]] = field(default_factory=list)
    edges: set[str] = field(default_factory=set)

    def report(self, path: str, patch: Document, number: int) -> None:
        """Merges one more patch of a node, by the number of its report. Nothing follows an end: the first one counts."""
        before = self.patches.get(path, _NO_DOCUMENT)
        if before.get("phase") not in ENDED:
            self.patches[path] = {**before, **patch}
            self.numbers[path] = number

    def commands(self) -> tuple[Command, ...]:
        return (
            *self.registrations.values(),
            *(
                Command("patchStatus", path, patch, cause=report_cause(self.source, self.numbers[path]))
                for path, patch in self.patches.items()
            ),
        )

    def actor(self, site: str, agent: str) -> Actor:
        """The agent, allowed to write what its edges' own parts of the graph are."""
        return Actor(f"agent:{site}/{agent}", EDGE, frozenset(f"/sites/{site}/edges/{edge}" for edge in self.edges))


def settle(
    site: str,
    agent: str,
    incarnation: str,
    reports: Sequence[msgspec.Raw],
    first: int = 1,
    version: int = 1,
    hosts: Callable[[str, str, str], bool] = lambda _, agent, edge: wire.hosts(agent, edge),
) -> Settlement:
    """Decodes reports one by one, which are numbered from `first` on, as that version of the wire has them; those that do not
    parse, or speak for an edge that is not the agent's, are rejected with a reason. `hosts(site, agent, edge)` says whether it
    is."""
    found = Settlement(f"{site}/{agent}/{incarnation}")
    for number, raw in enumerate(reports, first):
        try:
            report = decode_report(raw, version)
            check_name(report.edge, "/edge")
            if not hosts(site, agent, report.edge):
                raise Invalid(f"agent {agent} speaks for edge {report.edge[:80]}", field="/edge")
            if isinstance(report, wire.EdgeReport):
                path = inventory_path(site, report.edge)
                cause = report_cause(found.source, number)
                found.registrations[path] = _registration(path, agent, incarnation, report, cause)
            else:
                path = f"{desired_path(site, report.edge)}/attempts/{check_name(report.attempt, '/attempt')}"
                found.report(path, _status(report, bytes(raw)), number)
            found.edges.add(report.edge)
        except (*wire.UNREADABLE, TendrilError) as error:
            found.rejected.append((str(error), bytes(raw)))
    return found


def _registration(path: str, agent: str, incarnation: str, report: wire.EdgeReport, cause: str) -> Command:
    spec = {
        "capacity": {
            "cpu": report.cpu,
            "memoryBytes": report.memory_bytes,
            "powerW": report.power_w,
            **({"gpus": report.gpus} if report.gpus else {}),
            **({"countables": report.countables} if report.countables else {}),
        },
        "runtime": report.runtime,
        "agent": agent,
        "agentVersion": report.agent_version,
        "incarnation": incarnation,
        "notIsolated": list(report.not_isolated),
        "guards": report.guards,
        "trouble": report.trouble[:1024],
        "publicKey": report.public_key,
        "carbonGPerKwh": report.carbon_g_per_kwh,
        "forecast": [{"at": one.at.isoformat(), "powerW": one.power_w} for one in report.forecast]
        if report.forecast is not None
        else None,
        "images": list(report.images) if report.images is not None else None,
    }
    check_labels(report.labels, "/labels")
    check_labels_size(report.labels)
    return Command("apply", path, normal_spec(Edge, spec), labels=report.labels, cause=cause)


def _status(report: wire.AttemptReport, raw: bytes) -> Document:
    """The merge patch of an attempt's status. An end whose details do not fit the kind still ends the attempt: as failed,
    with the reason, rather than never."""
    status: Document = {"phase": report.phase, "percent": report.percent, "step": report.step}
    if report.phase in ENDED:
        status |= {
            "finishedAt": report.at.isoformat(),
            "exitCodes": list(report.exit_codes),
            "reason": report.reason[:256],
            "message": report.message[:4096],
        }
        if report.started_at is not None:
            status["startedAt"] = report.started_at.isoformat()
        if report.outputs is not None:
            status["outputs"] = report.outputs
        if report.artifacts:
            status["artifacts"] = [asdict(artifact) for artifact in report.artifacts]
    else:
        status["startedAt"] = (report.started_at or report.at).isoformat()
    try:
        _check_details(report, raw)
    except Invalid as error:
        if report.phase not in ENDED:
            raise
        finished = report.at.isoformat()
        return {"phase": FAILED, "finishedAt": finished, "reason": "InvalidReport", "message": error.message[:4096]}
    return status


def _check_details(report: wire.AttemptReport, raw: bytes) -> None:
    """What the wire's types leave open and the kind does not, so that the rule book refuses no status for its shape."""
    if is_too_deep(report.outputs):
        raise Invalid(f"the outputs are nested deeper than {DEPTH_LIMIT} levels", field="/outputs")
    if any(abs(code) > EXIT_CODE_LIMIT for code in report.exit_codes):
        raise Invalid("an exit code is out of range", field="/exitCodes")
    if len(report.artifacts) > ARTIFACTS_LIMIT:
        raise Invalid(f"{len(report.artifacts)} artifacts are more than {ARTIFACTS_LIMIT}", field="/artifacts")
    if not 0 <= report.percent <= 100:
        raise Invalid(f"{report.percent} is no percentage", field="/percent")
    if not 0 <= report.step <= STEPS_LIMIT:
        raise Invalid(f"{report.step} is no step", field="/step")
    if has_zero_byte(raw):
        raise Invalid("a text contains a zero byte, which cannot be stored", field="")
    if len(report.exit_codes) > STEPS_LIMIT:
        raise Invalid(f"{len(report.exit_codes)} exit codes are more than {STEPS_LIMIT}", field="/exitCodes")
    size = len(wire.encode(report.outputs)) if report.outputs is not None else 0
    if size > OUTPUTS_LIMIT_BYTES:
        raise Invalid(f"the outputs are {size} bytes; a chunk has at most {OUTPUTS_LIMIT_BYTES}", field="/outputs")
