"""What the agents' disks have held, and what must become of it: no report is passed over, none counts as committed that is not
settled, and nothing that ran is cleared away before its end is on a disk."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.jobs import PENDING
from datamodel.state import State


class Outboxes:
    """Believes the disks, and what the database has committed; complains, by a sentence to `complain`, of what agents and hub
    make of it. Outboxes are known by their marks, `SITE/AGENT/INCARNATION`; one that was never on a disk is a rogue's."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._kept: dict[str, dict[int, bytes]] = {}
        self._ended: set[str] = set()
        """Names of attempts whose end was told, at any time."""
        self._through: defaultdict[str, int] = defaultdict(int)
        """How far each has ever been committed."""
        self._sent: defaultdict[str, int] = defaultdict(int)
        """How far each was sent since its program began."""

    def kept(self, mark: str, first: int, bodies: Sequence[bytes]) -> None:
        """Reports are on the disk, numbered from `first`: what was there under these numbers is not any more."""
        known = self._kept.setdefault(mark, {})
        for number, body in enumerate(bodies, first):
            known[number] = body
            report = wire.decode_report(body)
            if isinstance(report, wire.AttemptReport) and report.phase in ENDED:
                self._ended.add(report.attempt)

    def began(self, site: str, agent: str) -> None:
        """The agent's program was started: it does not remember what it has sent."""
        for mark in [mark for mark in self._sent if mark.startswith(f"{site}/{agent}/")]:
            del self._sent[mark]

    def sent(self, body: bytes) -> None:
        """An agent sends a window: what is on its disk, without a gap after what it sent before, or the hub has."""
        window = wire.decode_window(body)
        mark, last = f"{window.site}/{window.agent}/{window.incarnation}", window.first + len(window.reports) - 1
        if not window.reports:
            return
        reached = max(self._sent[mark], self._through[mark])
        if window.first > reached + 1:
            self._complain(f"{mark} passes over its reports {reached + 1} to {window.first - 1}")
        known = self._kept.get(mark, {})
        for number, report in enumerate(window.reports, window.first):
            if known.get(number) != bytes(report):
                self._complain(f"{mark} sends a report {number} that is not on its disk")
        self._sent[mark] = max(self._sent[mark], last)

    def committed(self, mark: str, after: int, through: int, state: State) -> None:
        """The hub has everything up to `through`, and had it up to `after` until this transaction."""
        known = self._kept.get(mark)
        if known is None:
            return
        site = mark.partition("/")[0]
        for number in range(after + 1, through + 1):
            if number not in known:
                self._complain(f"{mark} counts as committed through {through}, and there never was a report {number}")
                break
            report = wire.decode_report(known[number])
            if isinstance(report, wire.AttemptReport):
                self._check_settled(site, report, state)
        self._through[mark] = max(self._through[mark], through)

    def cleared(self, site: str, edge: str, attempt: str, state: State) -> None:
        """An agent takes away what is left of an attempt at the engine."""
        node = state.nodes.get(f"{desired_path(site, edge)}/attempts/{attempt}")
        if node is not None and node.phase not in ENDED and attempt not in self._ended:
            self._complain(f"{node.path} is cleared away, and its end is told nowhere: it is {node.phase or 'new'}")

    def _check_settled(self, site: str, report: wire.AttemptReport, state: State) -> None:
        node = state.nodes.get(f"{desired_path(site, report.edge)}/attempts/{report.attempt}")
        if node is None or report.uid not in ("", node.uid):
            return
        if node.phase in ("", PENDING) or (report.phase in ENDED and node.phase not in ENDED):
            self._complain(
                f"{node.path} is {node.phase or 'new'}, and it counts as committed that it is {report.phase}"
            )
