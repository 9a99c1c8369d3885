"""Where the chunks of a job may go, and where they had better: rules over the labels of edges and of their sites."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, StringConstraints

from datamodel.errors import Invalid
from datamodel.kinds import Document, Part
from datamodel.node import Node
from datamodel.scheduling.cutoff import is_exclusive
from datamodel.scheduling.edges import place_of
from datamodel.selectors import label_selector

PREFERENCES_LIMIT = 16
SITE, EDGE, RUNTIME, GUARD = "tendril/site", "tendril/edge", "tendril/runtime", "tendril/guard"
"""Labels that every edge has."""
LEASE, NO_GUARD = "lease", "none"
"""What an edge ends without its agent: what has a lease, or nothing."""
PACK, SPREAD, APART = "pack", "spread", "apart"
EDGES, SITES = "edges", "sites"


def _selects(text: str) -> str:
    try:
        label_selector(text)
    except Invalid as error:
        raise ValueError(error.message) from error
    return text


LabelRule = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1_024),
    AfterValidator(_selects),
    Field(description="a label selector in Kubernetes' syntax, on an edge's labels and its site's"),
]


class Preference(Part):
    """Edges with these labels are better, by so much."""

    labels: LabelRule
    weight: Annotated[int, Field(ge=1, le=100, strict=True)] = 1


class Arrangement(Part):
    """How a job's chunks lie to each other: packed onto as few edges (or sites) as have room, spread over as many, or apart,
    never two at a time on one."""

    chunks: Literal["pack", "spread", "apart"]
    over: Literal["edges", "sites"] = "edges"


class PlacementRules(Part):
    """Where chunks go. What is required holds of every edge that gets one; of those, the greatest sum of weights comes
    first."""

    required: LabelRule | None = None
    preferred: Annotated[tuple[Preference, ...] | None, Field(min_length=1, max_length=PREFERENCES_LIMIT)] = None
    arrangement: Arrangement | None = None


class Rules(NamedTuple):
    """Which edges a chunk may go to, and which first: of no sites (any), or of these. Of edges that are equally preferred,
    those that have all of `images` come first. `guarded`: only to those that end what has a lease."""

    sites: tuple[str, ...] = ()
    required: str = ""
    preferred: tuple[tuple[str, int], ...] = ()
    images: tuple[str, ...] = ()
    guarded: bool = False

    @classmethod
    def of(cls, job: Document, group: Document, images: tuple[str, ...] = ()) -> Self:
        """What the specs of a job and of its group say, and which images its edges are told apart by."""
        rules: Document = job.get("placement") or {}
        preferred = tuple((one["labels"], one["weight"]) for one in rules.get("preferred") or ())
        sites = tuple(group.get("sites") or ())
        return cls(sites, rules.get("required") or "", preferred, images, is_exclusive(job))

    def bar(self, labels: Mapping[str, str]) -> str | None:
        """What of an edge with these labels does not suit: `site`, `labels` or `guard`; None where it does."""
        if self.sites and labels[SITE] not in self.sites:
            return "site"
        if self.required and not selector(self.required).matches(labels):
            return "labels"
        return "guard" if self.guarded and labels.get(GUARD) != LEASE else None

    def weight(self, labels: Mapping[str, str]) -> int:
        """How much such an edge is preferred."""
        return sum(weight for text, weight in self.preferred if selector(text).matches(labels))


ANYWHERE = Rules()

selector = lru_cache(maxsize=1_024)(label_selector)


def labels_of(edge: Node, site: Node | None, config: Node | None) -> dict[str, str]:
    """The labels that rules look at: what operators say of the site, then what the edge says of itself, then what operators say
    of the edge; the later is meant where they differ. `site` and `config` are what is asked of both, in the config plane."""
    names = place_of(edge.path)
    return {
        **(site.labels if site is not None else {}),
        **edge.labels,
        **(config.labels if config is not None else {}),
        SITE: names[0],
        EDGE: names[1],
        RUNTIME: edge.spec["runtime"],
        GUARD: LEASE if edge.spec.get("guards") else NO_GUARD,
    }
