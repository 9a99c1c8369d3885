"""What operators ask of sites and edges: whether an edge is used, and until when what runs there may go on."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import Column, Kind, Part
from datamodel.node import Node
from datamodel.scheduling.moments import Moment
from datamodel.scheduling.planes import CONFIG, Config

USE, CORDON, DRAIN = "use", "cordon", "drain"
OPEN, CORDONED, DRAINING, DRAINED = "open", "cordoned", "draining", "drained"


class SiteConfig(Kind):
    """What operators ask of a site."""

    plane, parent, segment = CONFIG, Config, "sites"
    examples = ({},)


class EdgeConfigSpec(Part):
    """What an edge is to be used for."""

    intent: Annotated[
        Literal["use", "cordon", "drain"],
        Field(description="cordon: nothing new is placed there; drain: and what runs there goes elsewhere"),
    ] = "use"
    drain_by: Annotated[
        Moment | None,
        Field(description="until then what runs on a drained edge may go on; absent: it goes elsewhere at once"),
    ] = None


class EdgeConfigStatus(Part):
    """How far that is. An edge is drained once nothing is left there for sure."""

    phase: Literal["open", "cordoned", "draining", "drained"] = "open"
    since: datetime | None = None
    observed_generation: int = 0


class EdgeConfig(Kind):
    """What operators ask of an edge. It may be there before the edge is."""

    plane, parent, segment = CONFIG, SiteConfig, "edges"
    Spec = EdgeConfigSpec
    Status = EdgeConfigStatus
    selectable = ("spec.intent", "status.phase")
    columns = (
        Column("intent", "spec.intent"),
        Column("phase", "status.phase"),
        Column("since", "status.since", "age"),
    )
    examples = ({"intent": "drain", "drainBy": "2026-01-31T12:00:00Z"},)


def config_path(site: str, edge: str) -> str:
    return f"/config/sites/{site}/edges/{edge}"


def config_paths(site: str, edge: str) -> tuple[str, str]:
    """Where what is asked of a site, and of its edge, stands."""
    return f"/config/sites/{site}", config_path(site, edge)


def intent_of(config: Node | None) -> str:
    """What is asked of an edge: it is used where nobody says otherwise."""
    return config.spec["intent"] if config is not None else USE
