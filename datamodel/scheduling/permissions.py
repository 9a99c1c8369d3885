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


def _agent(edges: str) -> Template:
    return Template(
        publish=[
            *(f"{subject}.{_OWN}" for subject in ("report", "beat", "secrets", "lease", "digest", "hub")),
            *(f"logs.{edges}.*", f"$JS.API.DIRECT.GET.LOGS.logs.{edges}.*"),
            *(f"artifacts.{edges}.>", "$JS.API.DIRECT.GET.ARTIFACTS.artifacts.>"),
            "$JS.FC.*.{{tag(site)}}_{{tag(agent)}}.>",
        ],
        subscribe=[
            *(
                f"{subject}.{_OWN}"
                for subject in ("committed", "sealed", "leased", "differences", "missed", "told", "feed")
            ),
            *(f"feed.{_OWN}.*", _INBOX),
        ],
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
}
"""By role. `join` is of a token. `agent` is of one that hosts few edges, `site` of one that hosts many."""


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
