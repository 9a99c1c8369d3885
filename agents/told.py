"""What an agent remembers of one attempt: what it has told, and for how long it may still run."""

import math
from dataclasses import dataclass

from agents.convergence import Desired, Reported
from agents.runtimes.protocol import Observed


@dataclass(slots=True)
class Told:
    """What the outbox has of one attempt, and when its progress was told last. `gone`: its end is told and nothing of it is
    left here, so what the hub says of it until it has settled the end changes nothing."""

    story: Reported = "nothing"
    percent: float = 0.0
    at_s: float = 0.0
    gone: bool = False
    uid: str = ""
    """Of the node that it was told of, where that is known."""
    overdue: bool = False
    """It was found running beyond its limit of time, and stays so however it ends."""
    began_s: float | None = None
    kept: tuple[str, int] = "", 0
    """The incarnation and number of the last report of its progress."""
    over: bool = False
    """The hub has settled its end before this agent was started, which found something of it: its log may not be whole."""

    def left_s(self, desired: Desired | None, observed: Observed | None, now_s: float, wall_s: float) -> float:
        """How long it may still run: `inf` where it does not run or may for ever. `now_s` is the loop's time and `wall_s` the
        clock's, which may jump and is asked once: when the attempt is first seen to run."""
        if (
            desired is None
            or observed is None
            or desired.work.limits.timeout_s == 0
            or desired.left_by_another(observed)
        ):
            return math.inf
        if all(step.phase != "running" for step in observed.steps):
            return math.inf
        if self.began_s is None:
            self.began_s = now_s - max(0.0, wall_s - observed.steps[0].started_s)
        left_s = self.began_s + desired.work.limits.timeout_s - now_s
        self.overdue = left_s <= 0
        return left_s
