"""What operators ask of sites and edges: whether an edge is used and until when what runs there may go on, when that is
worked on, and what goes elsewhere where an edge has less than it had."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from datamodel.kinds import Column, Kind, Part
from datamodel.node import Node
from datamodel.scheduling.maintenance import Windows
from datamodel.scheduling.moments import Moment
from datamodel.scheduling.planes import CONFIG, Config
from datamodel.scheduling.silence import Silence
from datamodel.scheduling.words import Word

USE, CORDON, DRAIN = "use", "cordon", "drain"
OPEN, CORDONED, DRAINING, DRAINED = "open", "cordoned", "draining", "drained"


LOWEST_PRIORITY = "lowestPriority"

Shed = Annotated[
    Literal["lowestPriority"] | None,
    Field(
        description="where less is there than is reserved, attempts of the lowest priority go elsewhere, the youngest first;"
        " absent: nothing is stopped"
    ),
]


class SiteConfigSpec(Silence):
    """What is asked of all edges of a site, beside what is asked of each."""

    maintenance: Windows = None
    shed: Shed = None


class SiteConfig(Kind):
    """What operators ask of a site."""

    plane, parent, segment = CONFIG, Config, "sites"
    Spec = SiteConfigSpec
    columns = (Column("shed", "spec.shed"),)
    examples = (
        {},
        {
            "maintenance": [{"cron": "0 2 * * 0", "timeZone": "Europe/Berlin", "durationS": 7200}],
            "shed": "lowestPriority",
            "suspectAfterS": 60,
            "disconnectedAfterS": 300,
            "lostAfterS": 14400,
        },
    )


class EdgeConfigSpec(Silence):
    """What an edge is to be used for."""

    intent: Annotated[
        Literal["use", "cordon", "drain"],
        Field(description="cordon: nothing new is placed there; drain: and what runs there goes elsewhere"),
    ] = "use"
    drain_by: Annotated[
        Moment | None,
        Field(description="until then what runs on a drained edge may go on; absent: it goes elsewhere at once"),
    ] = None
    maintenance: Windows = None
    shed: Shed = None
    word: Word | None = None


class EdgeConfigStatus(Part):
    """How far that is; a maintenance window is as if that had been asked. An edge is drained once nothing is left there for
    sure."""

    phase: Literal["open", "cordoned", "draining", "drained"] = "open"
    since: datetime | None = None
    observed_generation: int = 0
    word: int | None = None
    """The position of the newest word that was kept."""


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
    examples = (
        {"intent": "drain", "drainBy": "2026-01-31T12:00:00Z"},
        {
            "maintenance": [
                {"begin": "2026-01-31T12:00:00Z", "end": "2026-01-31T14:00:00Z", "drain": "move", "noticeS": 600}
            ]
        },
    )


def config_path(site: str, edge: str) -> str:
    return f"/config/sites/{site}/edges/{edge}"


def config_paths(site: str, edge: str) -> tuple[str, str]:
    """Where what is asked of a site, and of its edge, stands."""
    return f"/config/sites/{site}", config_path(site, edge)


def sheds(configs: Iterable[Node | None]) -> bool:
    """Whether one of these, which are asked of an edge and of its site, says that what is too much goes elsewhere."""
    return any(config is not None and config.spec.get("shed") == LOWEST_PRIORITY for config in configs)


def is_drained(config: Node | None) -> bool:
    """Whether an edge is to be left by everything, and was."""
    if config is None or config.spec["intent"] != DRAIN:
        return False
    return (config.status.get("phase"), config.status.get("observedGeneration")) == (DRAINED, config.generation)


def intent_of(config: Node | None) -> str:
    """What is asked of an edge: it is used where nobody says otherwise."""
    return config.spec["intent"] if config is not None else USE
