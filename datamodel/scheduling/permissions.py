"""What each role may do on NATS, as templates of the roles' signing keys.

An agent's credential names its site and itself, and the edges that it hosts where they are few. It may publish what is its own,
and hear what is told to it alone. Of JetStream it may do nothing but read a message by its very subject: whoever could make a
consumer could have it deliver to any subject, which the server does not check, and whoever may ask for a stream's state is told
all subjects in it. So the reconcilers' desk does that for agents (`desk.py`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from datamodel.identity.claims import Template

EDGES_LISTED = 16
"""The most edges that a credential names one by one, each of which is a filter of the consumer that feeds its agent. An agent
of more has one for its site: it reads what is desired there, and writes logs and artifacts of any edge there. It still
reports for none but its own, which its signature says."""

_OWN = "{{tag(site)}}.{{tag(agent)}}"
_EDGES = "{{tag(site)}}.{{tag(edge)}}"
_INBOX = "_INBOX.{{subject()}}.>"
SAID = ("report", "beat", "secrets", "lease", "digest", "hub")
"""What agents tell the hub, as the first token of `….SITE.AGENT`."""
TOLD = ("committed", "sealed", "leased", "differences", "missed", "told", "feed")
"""What it tells them."""


def _agent(edges: str) -> Template:
    return Template(
        publish=[
            *(f"{subject}.{_OWN}" for subject in SAID),
            *(f"logs.{edges}.*", f"$JS.API.DIRECT.GET.LOGS.logs.{edges}.*"),
            *(f"artifacts.{edges}.>", "$JS.API.DIRECT.GET.ARTIFACTS.artifacts.>"),
            "$JS.FC.*.{{subject()}}.>",
        ],
        subscribe=[*(f"{subject}.{_OWN}" for subject in TOLD), f"feed.{_OWN}.*", f"_INBOX.{_OWN}.>"],
    )


def _leaf() -> Template:
    """What all agents of a site may do, on one line. What answers the flow control of a consumer goes through for all of
    them: a consumer has the name of a key, which says nothing, and such an answer lets the server send on, no more.

    The hub's server tells a leaf that somebody listens to `report.*.*` where the leaf may publish `report.SITE.>`, and not
    where it may publish `report.SITE.*`: `reverseMatchLevel` of nats-server (`server/sublist.go`, 2.15) overlooks a `*` at
    the end of what is allowed where what is listened to has a wildcard there, too."""
    site = "{{tag(site)}}"
    return Template(
        publish=[
            *(f"{subject}.{site}.>" for subject in (*SAID, "join")),
            *(f"logs.{site}.>", f"$JS.API.DIRECT.GET.LOGS.logs.{site}.>"),
            *(f"artifacts.{site}.>", "$JS.API.DIRECT.GET.ARTIFACTS.artifacts.>"),
            "$JS.FC.*.*.>",
        ],
        subscribe=[
            *(f"{subject}.{site}.*" for subject in TOLD),
            *(f"feed.{site}.*.*", f"joined.{site}.*.*", f"_INBOX.{site}.>"),
        ],
        connections=["LEAFNODE"],
    )


TEMPLATES: Mapping[str, Template] = {
    "reconcilers": Template(publish=[">"], subscribe=[">"]),
    "gateway": Template(
        publish=[
            *("$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.>", "$JS.API.CONSUMER.>", "$JS.FC.>", "$JS.ACK.>"),
            *("$JS.API.DIRECT.GET.LOGS", "$JS.API.DIRECT.GET.LOGS.>"),
            *("$JS.API.DIRECT.GET.ARTIFACTS.>", "poke"),
        ],
        subscribe=["graph.>", "logs.>", "poke", _INBOX],
    ),
    "join": Template(
        publish=["join.{{tag(site)}}.{{tag(token)}}"],
        subscribe=["joined.{{tag(site)}}.{{tag(token)}}.*", _INBOX],
    ),
    "agent": _agent(_EDGES),
    "site": _agent("{{tag(site)}}.*"),
    "leaf": _leaf(),
}
"""By role. `join` is of a token. `agent` is of one that hosts few edges, `site` of one that hosts many. `leaf` is of a site's
own server, which passes on what its agents say."""

AT_LEAVES = ("agent", "join", "site")
"""Whom a site's own server lets in."""


class Standing(NamedTuple):
    """An agent's place among the roles: which one it has, and the tags that its credential carries."""

    role: str
    name: str
    tags: list[str]


def standing(site: str, agent: str, edges: Sequence[str]) -> Standing:
    """Of an agent that hosts these edges."""
    few = len(edges) <= EDGES_LISTED
    tags = [f"site:{site}", f"agent:{agent}", *(f"edge:{edge}" for edge in edges if few)]
    return Standing("agent" if few else "site", f"{site}/{agent}", tags)


def inbox(site: str, agent: str) -> str:
    """Where an agent is answered: what comes there passes its site's own server."""
    return f"_INBOX.{site}.{agent}"
