"""Links: a node's typed references to others, by link name the uids of the targets, in order and each once."""

from collections.abc import Mapping

from datamodel.errors import Invalid
from datamodel.kinds import Document, Kind

Links = dict[str, tuple[str, ...]]

TARGETS_LIMIT = 1_000
"""The most targets that one link has."""


def links_of(part: Document) -> Links:
    """The links in an event's part. The log's first events have one target as a string, and stay as they were written."""
    links = part.get("links")
    if not links:
        return {}
    return {
        name: found if type(found) is tuple else (found,) if isinstance(found, str) else tuple(found)
        for name, found in links.items()
    }


def check_cardinality(kind: type[Kind], links: Mapping[str, tuple[str, ...]]) -> None:
    """Raises `Invalid` where a node of a kind would have too few or too many targets, naming the link."""
    for name, link in kind.links.items():
        targets = links.get(name)
        if not targets:
            if link.required:
                raise Invalid(f"{kind.__name__} needs a target of its link {name!r}", field=f"/links/{name}")
        elif len(targets) > 1 and not link.many:
            raise Invalid(f"the link {name!r} of {kind.__name__} has one target at most", field=f"/links/{name}")
        elif len(targets) > TARGETS_LIMIT:
            problem = f"the link {name!r} has {len(targets)} targets; at most {TARGETS_LIMIT}"
            raise Invalid(problem, field=f"/links/{name}")
