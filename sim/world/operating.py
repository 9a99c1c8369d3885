"""What operators ask for and edges have, seen in every event of the log: nothing is placed in a maintenance window or beyond
what is expected, and what is shed is what matters least."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from datamodel.event import Event
from datamodel.node import Node
from datamodel.pool import Pool
from datamodel.scheduling.attempts import ENDED, RUN
from datamodel.scheduling.edges import desired_path, inventory_path, place_of
from datamodel.scheduling.giving_up import SHED
from datamodel.scheduling.resources import POWER
from datamodel.scheduling.scheduler import PRIORITY_DEFAULT, SCHEDULER
from datamodel.scheduling.service import USE, config_paths, sheds
from datamodel.state import State
from sim.world.lateness import SETTLED_S
from sim.world.process import EPOCH
from sim.world.serving import counted_on
from sim.world.windows import due
from sim.world.witness import IN_FLIGHT_S, PLACING_S

DECIDING_S = 5.0
"""What is older was there when it was decided what is shed, with a hub that is whole."""
FORESEEN_S = 10.0
"""How soon placement goes by what is expected, with a hub that is whole: it hears of what others say every five seconds."""
_SAYING = frozenset({"SiteConfig", "EdgeConfig", "Scheduler", "Edge"})


class Operating:
    """Complains, by a sentence to `complain`, of what no operator wants. `whole_since()` tells since when the hub has had no
    trouble; where its clocks are ever wrong (`is_timely` is false), there are no windows."""

    def __init__(self, complain: Callable[[str], None], whole_since: Callable[[], float], *, is_timely: bool) -> None:
        self._complain, self._whole_since, self._is_timely = complain, whole_since, is_timely
        self._changed_s: dict[str, float] = {}
        """By path, when something else was asked of an edge, a site or the Scheduler, and when an edge said something else."""
        self._restored_s = -math.inf

    def restored(self, now_s: float) -> None:
        """The database was put back: what was decided before goes by what is gone."""
        self._restored_s = now_s

    def appended(self, event: Event, state: State, now_s: float) -> None:
        if event.kind in _SAYING and event.op in ("created", "specChanged", "deleted"):
            self._changed_s[event.path] = now_s
        if event.kind != "Attempt" or now_s - self._restored_s < IN_FLIGHT_S:
            return
        if event.op == "created" and self._is_timely:
            self._placed(event.path, state, now_s)
        elif event.op == "specChanged" and event.part["spec"].get("intentReason") == SHED:
            attempt = state.nodes.get(event.path)
            if attempt is not None:
                self._shed(attempt, state, now_s)

    def _placed(self, path: str, state: State, now_s: float) -> None:
        """Not where nothing was to be, now and for a while before."""
        site, edge = place_of(path)
        if now_s < self._whole_since() + SETTLED_S:
            return
        self._expected(path, state, now_s)
        if now_s < self._changed(*config_paths(site, edge)) + PLACING_S:
            return
        times = _times(now_s, PLACING_S)
        if all(due(state.nodes, site, edge, now).intent != USE for now in times):
            self._complain(f"{path} is placed in a maintenance window, or where nothing was to be")

    def _expected(self, path: str, state: State, now_s: float) -> None:
        """Not beyond what the edge expects, now and for a while before."""
        edge = state.nodes.get(inventory_path(*place_of(path)))
        if edge is None or now_s < self._changed(edge.path, SCHEDULER) + FORESEEN_S:
            return
        used = state.pools.get(edge.path, Pool()).used.get(POWER, 0)
        if all(used > counted_on(edge, state, now).capacity.get(POWER, 0) for now in _times(now_s, FORESEEN_S)):
            self._complain(f"{path} is placed, and {edge.path} expects {edge.spec.get('forecast')}")

    def _changed(self, *paths: str) -> float:
        return max(self._changed_s.get(path, -math.inf) for path in paths)

    def _shed(self, attempt: Node, state: State, now_s: float) -> None:
        site, edge = place_of(attempt.path)
        if not sheds(state.nodes.get(config) for config in config_paths(site, edge)):
            self._complain(f"{attempt.path} is shed, and nobody asks for that")
        if not self._is_timely:
            return  # nobody knows how old anything is
        is_whole = now_s >= self._whole_since() + SETTLED_S
        settled = EPOCH + timedelta(seconds=now_s - (DECIDING_S if is_whole else IN_FLIGHT_S))
        place = desired_path(site, edge)
        for other in state.nodes.values():
            if other.kind != "Attempt" or other.phase in ENDED or other.spec["intent"] != RUN:
                continue
            is_older = other.created_at <= settled  # who came meanwhile may have come after it was decided
            if is_older and other.path.startswith(f"{place}/") and _rank(other, state) < _rank(attempt, state):
                self._complain(f"{attempt.path} is shed, and {other.path} matters less")


def _times(now_s: float, for_s: float) -> list[datetime]:
    """Some, so long ago and since then."""
    return [EPOCH + timedelta(seconds=now_s - for_s * part) for part in (1.0, 0.5, 0.0)]


def _rank(attempt: Node, state: State) -> tuple[int, int]:
    """Who goes first."""
    job = state.nodes.get(attempt.spec["job"])
    priority = job.spec.get("priority", PRIORITY_DEFAULT) if job is not None and job.uid in attempt.links["job"] else -1
    return priority, -attempt.created_version
