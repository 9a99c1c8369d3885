"""Sites and edges: what was discovered of them, and the place for what they should do."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from datamodel.kinds import SYSTEM, USER, Column, Grant, Kind, Offer, Part
from datamodel.scheduling.forecasts import FORECAST_LIMIT, PowerForecast, check_in_order
from datamodel.scheduling.images import IMAGES_LIMIT
from datamodel.scheduling.planes import DESIRED, INVENTORY, DesiredConfig, Inventory
from datamodel.scheduling.resources import Capacity, amounts

ONLINE, SUSPECT, DISCONNECTED, LOST = "online", "suspect", "disconnected", "lost"
GONE = "gone"
"""Drained, and not heard from since: it was taken away, and nobody waits for it."""


class Site(Kind):
    """A place with edges, known since the first of them registered."""

    plane, parent, segment = INVENTORY, Inventory, "sites"
    spec_writers = frozenset({SYSTEM})


class EdgeSpec(Part):
    """What an edge says of itself when it registers."""

    capacity: Capacity
    runtime: str
    agent: str
    """The process that hosts the edge: one agent hosts one edge or a group."""
    agent_version: str
    incarnation: str
    """Of the agent's outbox; a new one means that its disk was lost, or is an older copy of itself."""
    not_isolated: tuple[str, ...] = ()
    """What steps have in common with their host, and with each other, beyond its kernel."""
    guards: bool = False
    """What runs under a lease ends with it here, whatever becomes of the agent: chunks of exclusive jobs run nowhere else."""
    trouble: str = ""
    """Why nothing can be started now, where the agent says so: its engine does not answer. Nothing is placed here then."""
    carbon_g_per_kwh: Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)] | None = None
    """What its power costs the climate, in grams of CO2, where the edge says so."""
    forecast: Annotated[tuple[PowerForecast, ...] | None, Field(max_length=FORECAST_LIMIT)] = None
    """What power it expects to have, where it says so, in order of time."""
    images: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=768)], ...] | None,
        Field(max_length=IMAGES_LIMIT),
    ] = None
    """The full names of the images that its engine has, where it says so; of many, the newest."""
    public_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")] | None = None
    """X25519, in base64: what its secrets are sealed to. Its agent makes another one at each start."""

    @field_validator("forecast")
    @classmethod
    def _is_in_order(cls, forecast: tuple[PowerForecast, ...] | None) -> tuple[PowerForecast, ...] | None:
        check_in_order(forecast)
        return forecast


class Maintenance(Part):
    """A maintenance window that an edge is in: nothing new is placed there until its end, or that of one that begins before
    it."""

    until: datetime


class Clone(Part):
    """Another agent of this one's name, started before it from a copy of the same disk, that still runs and is not believed.
    `host` is where it says that it runs."""

    since: datetime
    host: str = ""


class EdgeStatus(Part):
    """Whether the edge is heard from, as judged by the edges reconciler, and whether it is in maintenance. `clone`: its agent
    runs twice. Operators end one of the two, and start the other again where that is the one that was not believed."""

    phase: Literal["online", "suspect", "disconnected", "lost", "gone"] = "online"
    since: datetime | None = None
    reason: str = ""
    maintenance: Maintenance | None = None
    service: Literal["cordoned", "draining", "drained"] | None = None
    """What operators or a window ask of it: nothing new is placed there, and what runs goes elsewhere, or has gone."""
    clone: Clone | None = None


class Edge(Kind):
    """A node or cluster that runs chunks. Its capacity is the pool that attempts reserve from."""

    plane, parent, segment = INVENTORY, Site, "edges"
    Spec = EdgeSpec
    Status = EdgeStatus
    selectable = ("status.phase", "spec.runtime", "spec.agent")
    columns = (
        Column("phase", "status.phase"),
        Column("service", "status.service"),
        Column("runtime", "spec.runtime"),
        Column("cpu", "spec.capacity.cpu", "number"),
        Column("memory", "spec.capacity.memoryBytes", "bytes"),
        Column("watts", "spec.capacity.powerW", "number"),
        Column("since", "status.since", "age"),
        Column("trouble", "spec.trouble"),
        Column("maintenance until", "status.maintenance.until"),
        Column("clone on", "status.clone.host"),
    )
    offer = Offer(lambda spec: amounts(spec["capacity"]))
    grants = {USER: Grant(frozenset({"delete"}))}
    """Operators remove what is gone for ever, once nothing of it is reserved."""


class DesiredSite(Kind):
    """The desired state of a site's edges."""

    plane, parent, segment = DESIRED, DesiredConfig, "sites"


class DesiredEdgeSpec(Part):
    """What the edge should do beside its attempts."""

    cordoned: bool = False
    """Places nothing new here."""


class DesiredEdge(Kind):
    """The desired state of one edge: the parent of its attempts."""

    plane, parent, segment = DESIRED, DesiredSite, "edges"
    Spec = DesiredEdgeSpec
    columns = (Column("cordoned", "spec.cordoned"),)


def inventory_path(site: str, edge: str) -> str:
    return f"/inventory/sites/{site}/edges/{edge}"


def desired_path(site: str, edge: str) -> str:
    return f"/desired-config/sites/{site}/edges/{edge}"


def place_of(path: str) -> tuple[str, str]:
    """Site and edge of any path at or below an edge, in either plane."""
    _, _, _, site, _, edge, *_ = path.split("/")
    return site, edge
