"""A script: what happens to a world, action by action. It is written by a seed, or read from a file."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from sim.world.engine import FailsBy
from sim.world.receivers import Temper
from sim.world.terms import Terms
from sim.world.weather import CALM, Weather

Manner = Literal["", "apart", "spread", "packed", "narrow", "gang"]
Counted = Literal["", "split", "array"]

Concurrency = Literal["allow", "forbid", "replace"]
Tries = Literal[
    "lapsed",
    "settled",
    "overbooked",
    "outdated",
    "contradicted",
    "doubled",
    "foreign",
    "replaced",
    "unsettled",
    "reused",
    "forged",
]


class Action(msgspec.Struct, frozen=True, tag_field="do", tag=str.lower, rename="camel", omit_defaults=True):
    """Something that is done to the world at a time, in seconds since its beginning."""

    at_s: float


class Submit(Action, frozen=True):
    """A job of so many chunks, each of so many steps, which take so many seconds together; the first `fails` attempts at
    each chunk fail, as the engine has it. By `time`: they never end by themselves, and the job has a limit. With `sigma` its
    attempts are as unequal as those of a simulated edge: see `agents/runtimes/luck.py`. Where `failing` is not 0, only the
    first so many chunks fail at all. What is to fail for ever has no such limit, but a deadline among its `terms`. `manner`:
    its chunks are never two on one edge, spread, packed, two at a time, or all or none. It tells receivers of these tempers of
    whatever it reaches. It comes after others, `on` their success or whichever end, not before `start_s`, and goes `ttl_s`
    after its end. `counted`: it may be split into so many chunks at most, or has an array of so many indices. With
    `replace_s` its chunks go elsewhere so long after their edge was cut off; with `lease_s` it is exclusive."""

    job: str
    chunks: int
    steps: int = 1
    seconds: float = 1.0
    retries: int = 2
    fails: int = 0
    fails_by: FailsBy = "exit"
    sigma: float = 0.0
    manner: Manner = ""
    priority: int = 50
    tells: tuple[Temper, ...] = ()
    after: tuple[str, ...] = ()
    on: Literal["succeeded", "finished"] = "succeeded"
    start_s: float | None = None
    ttl_s: float | None = None
    failing: int = 0
    terms: Terms | None = None
    counted: Counted = ""
    replace_s: float | None = None
    lease_s: float | None = None


class Plan(Action, frozen=True):
    """A schedule that makes such a job every so many minutes."""

    schedule: str
    every_min: int = 1
    chunks: int = 1
    seconds: float = 1.0
    concurrency: Concurrency = "allow"
    deadline_s: float | None = None
    keep: int = 3


class Replan(Action, frozen=True):
    """A schedule is suspended, or goes on, if it was asked for by then."""

    schedule: str
    suspended: bool


class Delete(Action, frozen=True):
    """The job is deleted, if it was accepted by then."""

    job: str


class Ask(Action, frozen=True):
    """Something else is asked of the job, if it was accepted by then: an intent, or that it is tried again if it has failed."""

    job: str
    what: Literal["run", "suspend", "abort", "retry"]


class Serve(Action, frozen=True):
    """Operators ask for another use of an edge; what runs on a drained one may go on for `grace_s` more."""

    edge: str
    intent: Literal["use", "cordon", "drain"]
    grace_s: float = 0.0


Policy = Literal["firstFit", "bestFit", "spread", "powerAware"]
Order = Literal["fairShare", "priority", "arrival"]


class Rule(Action, frozen=True):
    """Operators say how chunks are placed from now on: and whether some are stopped for jobs of a priority that is higher by
    `margin`, after so many seconds."""

    policy: Policy
    order: Order
    margin: int | None = None
    after_s: float = 1.0
    hold_after_s: float = 60.0


class Shed(Action, frozen=True):
    """Operators have what is too much for an edge, or for all of them (empty), go elsewhere from now on."""

    edge: str = ""


class Maintain(Action, frozen=True):
    """Operators ask for one more maintenance window of an edge, or of all of them (empty): for so long, `after_s` from now, or
    every so many minutes."""

    edge: str = ""
    after_s: float = 0.0
    lasts_s: float = 10.0
    every_min: int = 0
    notice_s: float = 0.0
    moves: bool = False


class Times(Action, frozen=True):
    """Operators say after how much silence an edge, or all of them (empty), count as cut off and as lost."""

    edge: str = ""
    disconnected_s: float = 30.0
    lost_s: float = 90.0


class Say(Action, frozen=True):
    """An operator says that an edge is lost, or that its host is off, if it is not heard from then. They may be wrong."""

    edge: str
    says: Literal["lost", "off"]


class Adopt(Action, frozen=True):
    """Somebody adopts all results of the job that were kept and are not counted."""

    job: str


class Power(Action, frozen=True):
    """From now on there are so many watts at an edge, and expected is that there are others so many seconds later: pairs of
    seconds and watts, in order."""

    edge: str
    watts: float
    ahead: tuple[tuple[float, float], ...] = ()


class Foresee(Action, frozen=True):
    """Operators have placement look so many seconds ahead from now on."""

    horizon_s: float


class Repeat(Action, frozen=True):
    """The client sends the request for a job that was accepted once more, under the same idempotency key."""

    job: str


class Rogue(Action, frozen=True):
    """Somebody tries what must be refused; see `rogues.py` for what each does."""

    tries: Tries


class Fall(Action, frozen=True):
    """A program ends; it is started again after so many seconds."""

    program: str
    down_s: float


class Kill(Fall, frozen=True):
    """SIGKILL."""


class Stop(Fall, frozen=True):
    """SIGTERM; the seconds begin when it has ended."""


class Crash(Fall, frozen=True):
    """An edge's host goes down and comes up again: nothing runs any more. `empty`: with a new disk."""

    empty: bool = False


class LoseDisk(Fall, frozen=True, tag="loseDisk"):
    """An agent is killed, and finds its outbox gone when it is started again; its containers run on."""


class RestoreDisk(Fall, frozen=True, tag="restoreDisk"):
    """An agent is killed, and finds its outbox as it was so many seconds ago."""

    age_s: float


class Spell(Action, frozen=True):
    """Something is wrong with a program, or with what it stands on, for so many seconds."""

    program: str
    for_s: float


class Pause(Spell, frozen=True):
    """SIGSTOP, and SIGCONT after the time."""


class Cut(Spell, frozen=True):
    """The program's line to the message server is cut: what it sends is lost (`up`), what is sent to it (`down`), or both."""

    up: bool = True
    down: bool = True


class Away(Spell, frozen=True):
    """The `database`, or the engine of an edge, does not answer; of a replica: the database does not answer that one."""


class Swallow(Spell, frozen=True):
    """Messages of the feed do not reach the agent, and neither it nor the feed notices."""


class Full(Spell, frozen=True):
    """An agent's disk takes no writes."""


class Clone(Spell, frozen=True):
    """Another host runs from a copy of the edge's disk, under its name."""


class Jump(Action, frozen=True):
    """The wall clock of the program's host, or of the `database`'s, jumps forth or back."""

    program: str
    by_s: float


class Restore(Action, frozen=True):
    """The database is as it was so many seconds ago: what was written since is lost."""

    age_s: float


class Wipe(Action, frozen=True):
    """The message server loses all its streams."""


class Compact(Action, frozen=True):
    """Somebody has the log forget what is older than so many seconds, and tries until it is done. With `killed_s`, they are
    killed so long after they began, at whichever step that is."""

    keep_s: float
    killed_s: float | None = None


class Watch(Action, frozen=True):
    """Somebody lists all nodes of a kind, and then watches what becomes of them, taking up to so many seconds for what they
    are told at a time."""

    kind: str
    slow_s: float


Wish = Submit | Plan | Replan | Delete | Ask | Serve | Rule | Shed | Maintain | Times | Say | Adopt | Foresee | Repeat
"""What the client asks for."""
Trouble = (
    Kill | Stop | Pause | Cut | Jump | Away | Restore | Wipe | Crash | LoseDisk | RestoreDisk | Full | Swallow | Clone
)
AnyAction = Wish | Rogue | Trouble | Compact | Watch | Power


class Script(msgspec.Struct, frozen=True, rename="camel"):
    """The whole of it. All chance that the actions do not fix comes from the seed, by name: an action that is taken away
    changes nothing of the others' luck."""

    seed: int
    edges: int
    replicas: int
    seconds: float
    """How long it goes on before everything is mended."""
    weather: Weather = CALM
    slots: int = 4
    """How many chunks an edge has room for."""
    keep_s: float | None = None
    """Age at which the reconcilers have the log forgotten; None for never."""
    actions: tuple[AnyAction, ...] = ()

    def with_actions(self, actions: Sequence[AnyAction]) -> "Script":
        return msgspec.structs.replace(self, actions=tuple(actions))


def is_timely(actions: Sequence[AnyAction]) -> bool:
    """Whether the clocks of the hub, and of the database, are always right."""
    jumps = [action.program for action in actions if isinstance(action, Jump)]
    return not any(program == "database" or program.startswith("reconcilers") for program in jumps)
