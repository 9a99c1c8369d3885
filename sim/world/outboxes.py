"""What the agents' disks have held, and what must become of it: no report is passed over, none counts as committed that is not
settled, and nothing that ran is cleared away before its end is on a disk."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from datamodel.scheduling import wire
from datamodel.scheduling.attempts import ENDED
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.jobs import PENDING
from datamodel.scheduling.windows import decode_window
from datamodel.state import State


class Outboxes:
    """Believes the disks, and what the database has committed; complains, by a sentence to `complain`, of what agents and hub
    make of it. Outboxes are known by their marks, `SITE/AGENT/INCARNATION`; one that was never on a disk is a rogue's."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._kept: defaultdict[str, dict[str, dict[int, bytes]]] = defaultdict(dict)
        """By mark, and by the host whose disk it is: one that runs from a copy has the same mark until it is another outbox."""
        self._forgotten: defaultdict[tuple[str, str], int] = defaultdict(int)
        """How far each host counts its reports as committed."""
        self._ended: set[str] = set()
        """Names of attempts whose end was told, at any time."""
        self._through: defaultdict[str, int] = defaultdict(int)
        """How far each has ever been committed."""
        self._sent: defaultdict[tuple[str, str], int] = defaultdict(int)
        """How far each host has sent each since its program began."""

        self._starts: dict[tuple[str, str], int] = {}
        """By agent and host, which start in order its program is."""
        self._believed: defaultdict[str, int] = defaultdict(int)
        """By agent, the newest start of which anything was committed."""

    def restored(self) -> None:
        """The database was put back: it does not know which start it believed last."""
        self._believed.clear()

    def kept(self, mark: str, first: int, bodies: Sequence[bytes], host: str = "") -> None:
        """Reports are on the disk, numbered from `first`: what was there under these numbers is not any more."""
        known = self._kept[mark].setdefault(host, {})
        for number, body in enumerate(bodies, first):
            known[number] = body
            report = wire.decode_report(body)
            if isinstance(report, wire.AttemptReport) and report.phase in ENDED:
                self._ended.add(report.attempt)

    def copied(self, host: str, copy: str) -> None:
        """Another host runs from a copy of a disk as it is: what is there may be told by both, and be known already."""
        for mark, hosts in self._kept.items():
            forgotten = self._forgotten.get((host, mark), 0)
            there = {number: body for number, body in hosts.get(host, {}).items() if number > forgotten}
            if there:
                hosts[copy] = there

    def began(self, site: str, agent: str, host: str = "") -> None:
        """The agent's program was started: it does not remember what it has sent, and may be on an older disk."""
        self._starts[f"{site}/{agent}", host] = max(self._starts.values(), default=0) + 1
        for told in (self._sent, self._forgotten):
            for known, mark in [*told]:
                if known == host and mark.startswith(f"{site}/{agent}/"):
                    del told[known, mark]

    def sent(self, body: bytes, host: str = "") -> None:
        """An agent sends a window: what is on its disk, without a gap after what it sent before, or the hub has."""
        window = decode_window(body)
        mark, last = f"{window.site}/{window.agent}/{window.incarnation}", window.first + len(window.reports) - 1
        if not window.reports:
            return
        reached = max(self._sent[host, mark], self._through[mark])
        if window.first > reached + 1:
            self._complain(f"{mark} passes over its reports {reached + 1} to {window.first - 1}")
        known = self._kept[mark].get(host, {})
        for number, report in enumerate(window.reports, window.first):
            if known.get(number) != bytes(report):
                self._complain(f"{mark} sends a report {number} that is not on its disk")
        self._sent[host, mark] = max(self._sent[host, mark], last)

    def forgot(self, mark: str, through: int, state: State, host: str = "") -> None:
        """An agent counts its reports up to `through` as committed: they may leave its disk, and are told by nobody again."""
        for number in range(self._forgotten[host, mark] + 1, through + 1):
            body = self._kept[mark].get(host, {}).get(number)
            report = wire.decode_report(body) if body is not None else None
            if isinstance(report, wire.AttemptReport):
                self._check_settled(mark.partition("/")[0], report, state)
        self._forgotten[host, mark] = max(self._forgotten[host, mark], through)

    def committed(self, mark: str, after: int, through: int, state: State) -> None:
        """The hub has everything up to `through`, and had it up to `after` until this transaction. Where copies of one disk
        have the same outbox, whose reports those were is seen when their agent forgets them."""
        if mark not in self._kept:
            return
        for number in range(after + 1, through + 1):
            hosts = [host for host, known in self._kept[mark].items() if number in known]
            if not hosts:
                self._complain(f"{mark} counts as committed through {through}, and there never was a report {number}")
                break
            if len(hosts) > 1:
                continue
            self._check_believed(mark.rpartition("/")[0], hosts[0])
            report = wire.decode_report(self._kept[mark][hosts[0]][number])
            if isinstance(report, wire.AttemptReport):
                self._check_settled(mark.partition("/")[0], report, state)
        self._through[mark] = max(self._through[mark], through)

    def cleared(self, site: str, edge: str, attempt: str, state: State) -> None:
        """An agent takes away what is left of an attempt at the engine."""
        node = state.nodes.get(f"{desired_path(site, edge)}/attempts/{attempt}")
        if node is not None and node.phase not in ENDED and attempt not in self._ended:
            self._complain(f"{node.path} is cleared away, and its end is told nowhere: it is {node.phase or 'new'}")

    def _check_believed(self, agent: str, host: str) -> None:
        """Of two that run under one name, the one that was started first is not believed again."""
        start = self._starts.get((agent, host), 0)
        if start < self._believed[agent]:
            self._complain(
                f"{agent} on {host} is believed, and another one of its name was started after it and was believed"
            )
        self._believed[agent] = max(self._believed[agent], start)

    def _check_settled(self, site: str, report: wire.AttemptReport, state: State) -> None:
        node = state.nodes.get(f"{desired_path(site, report.edge)}/attempts/{report.attempt}")
        if node is None or report.uid not in ("", node.uid):
            return
        if node.phase in ("", PENDING) or (report.phase in ENDED and node.phase not in ENDED):
            self._complain(
                f"{node.path} is {node.phase or 'new'}, and it counts as committed that it is {report.phase}"
            )
