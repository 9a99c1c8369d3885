"""`tendril cordon`, `drain` and `uncordon`: what operators ask of edges."""

import math
from typing import Annotated

from cyclopts import Parameter

from gateway.commands.asking import ask_each
from gateway.commands.client import DEFAULT_URL, Client, Url
from gateway.commands.deadline import seconds_of
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Within, one_of

EDGE = "Edge"
Edges = Annotated[str, Parameter(help="Edges: SITE/EDGE, edge/SITE/EDGE or a path.")]
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


def _ask(
    verb: str, words: tuple[str, ...], within: str, url: str, done: str, parameters: dict[str, str] | None = None
) -> int:
    with Client(url) as client:
        kinds = kinds_of(client)
        kind = kinds.named(EDGE)
        edges = [one_of(kinds, kind, word, within) for word in words]
        asked = [(edge, f"/v1/edges/{kind.shown(edge.path)}/{verb}") for edge in edges]
        return ask_each(client, asked, done, parameters)
