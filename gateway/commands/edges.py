"""`tendril cordon`, `drain` and `uncordon`: what operators ask of edges. `lost` and `off`: what they know of those that are not
heard from. `adopt`: what they take of such that came back."""

import math
from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.asking import ask_each
from gateway.commands.client import Client, Url
from gateway.commands.deadline import seconds_of
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Within, one_of

EDGE, ATTEMPT = "Edge", "Attempt"
Edges = Annotated[str, Parameter(help="Edges: SITE/EDGE, edge/SITE/EDGE or a path.")]
Reason = Annotated[str, Parameter(name="--reason", help="How it is known, for the record.")]
Grace = Annotated[str, Parameter(name="--grace", help="What runs may go on for as long as `30s`, `10m` or `2h`.")]


def cordon(edge: Edges, /, *edges: Edges, within: Within = "", url: Url = DEFAULT_URL) -> int:
    """Place nothing new on edges; what runs there goes on."""
    return _ask("cordon", (edge, *edges), within, url, "is cordoned")


def drain(edge: Edges, /, *edges: Edges, within: Within = "", grace: Grace = "", url: Url = DEFAULT_URL) -> int:
    """Place nothing new on edges, and let what runs there go elsewhere."""
    parameters = {"graceS": str(math.ceil(seconds_of(grace, "--grace")))} if grace else {}
    return _ask("drain", (edge, *edges), within, url, "is being drained", parameters)


def uncordon(edge: Edges, /, *edges: Edges, within: Within = "", url: Url = DEFAULT_URL) -> int:
    """Use edges again."""
    return _ask("uncordon", (edge, *edges), within, url, "is used again")


def lost(edge: Edges, /, *edges: Edges, within: Within = "", reason: Reason = "", url: Url = DEFAULT_URL) -> int:
    """Do not wait any longer for edges that are not heard from: their chunks go elsewhere. What they reserve stays reserved."""
    return _ask("lost", (edge, *edges), within, url, "is given up", {"reason": reason} if reason else {})


def off(edge: Edges, /, *edges: Edges, within: Within = "", reason: Reason = "", url: Url = DEFAULT_URL) -> int:
    """Say that the hosts of edges are off: nothing runs there, and nothing is reserved of them any more."""
    return _ask("off", (edge, *edges), within, url, "counts as switched off", {"reason": reason} if reason else {})


def adopt(
    attempt: Annotated[str, Parameter(help="An attempt: SITE/EDGE/NAME, attempt/SITE/EDGE/NAME or a path.")],
    /,
    within: Within = "",
    url: Url = DEFAULT_URL,
) -> int:
    """Take the result of an attempt that was replaced for its chunk's; what runs of that is stopped."""
    with Client(url) as client:
        kinds = kinds_of(client)
        kind = kinds.named(ATTEMPT)
        target = one_of(kinds, kind, attempt, within)
        site, edge, name = kind.shown(target.path).split("/")
        return ask_each(client, [(target, f"/v1/edges/{site}/{edge}/attempts/{name}/adopt")], "is adopted")


def _ask(
    verb: str, words: tuple[str, ...], within: str, url: str, done: str, parameters: dict[str, str] | None = None
) -> int:
    with Client(url) as client:
        kinds = kinds_of(client)
        kind = kinds.named(EDGE)
        edges = [one_of(kinds, kind, word, within) for word in words]
        asked = [(edge, f"/v1/edges/{kind.shown(edge.path)}/{verb}") for edge in edges]
        return ask_each(client, asked, done, parameters)
