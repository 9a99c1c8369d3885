"""What operators ask of sites and edges: whether an edge is used, and until when what runs there may go on."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator

from datamodel.kinds import Column, Kind, Part
from datamodel.node import Node
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
        datetime | None,
        Field(description="until then what runs on a drained edge may go on; absent: it goes elsewhere at once"),
    ] = None

    @field_validator("drain_by", mode="before")
    @classmethod
    def _is_text(cls, moment: object) -> datetime | None:
        """Numbers, in texts too, would be taken as seconds since 1970."""
        if moment is None:
            return None
        if not isinstance(moment, str):
            raise ValueError("a moment is a text, as 2026-01-31T12:00:00Z")  # noqa: TRY004 - pydantic names the field then
        return datetime.fromisoformat(moment.upper())

    @field_validator("drain_by")
    @classmethod
    def _says_its_offset(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and moment.tzinfo is None:
            raise ValueError("a moment tells its offset from UTC, as in 2026-01-31T12:00:00Z")
        return moment


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
