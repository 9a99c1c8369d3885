"""All reconcilers of the scheduling model as one program over the ports: what a process of them is made of."""

from collections.abc import Callable
from datetime import UTC, datetime

from datamodel.feed.ports import Messages, Streams
from datamodel.ports import Store
from datamodel.scheduling import wire
from datamodel.secrets.ports import Revealing
from reconcilers.callbacks import WORKERS, Callbacks
from reconcilers.calling.ports import Sender
from reconcilers.contact import Contact
from reconcilers.cordons import Cordons
from reconcilers.credentials import Credentials, Issuing
from reconcilers.deadlines import Deadlines
from reconcilers.digests import Digests
from reconcilers.doubles import Doubles
from reconcilers.edges import Edges
from reconcilers.expiry import Expiry
from reconcilers.gates import Gates
from reconcilers.handover import Handover
from reconcilers.identities import Identities, Verified
from reconcilers.ingest import Ingest
from reconcilers.joining import Joining
from reconcilers.leases import Leases
from reconcilers.placement import Placement
from reconcilers.planning.liveness import Thresholds
from reconcilers.progress import Progress
from reconcilers.retention import Retention
from reconcilers.runtime.controller import Controller
from reconcilers.runtime.replica import Replica
from reconcilers.schedules import Schedules
from reconcilers.settings import Settings
from reconcilers.shedding import Shedding
from reconcilers.stats import Stats

COUNTED = 8
"""Edges of an agent that are gone through; one of more has some in every shard, as far as that is worth knowing."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Program:
    """One replica. It shares the work with any number of others through the store's leases."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        messages: Messages,
        streams: Streams,
        sender: Sender,
        clock: Callable[[], datetime] = _utc_now,
        secrets: Revealing | None = None,
        issuing: Issuing | None = None,
    ) -> None:
        """Without `secrets`, no edge is handed any, and no callback signed; without `issuing`, no credential."""
        self._replica = replica = Replica(
            "reconcilers", store, messages, streams, lease_ttl_s=settings.lease_ttl_s, poll_s=settings.poll_s
        )
        self.shards = replica.shards
        appender, reads = replica.appender, replica.reads
        thresholds = Thresholds(settings.suspect_after_s, settings.disconnected_after_s, settings.lost_after_s)
        self.identities = Identities(reads, replica.metrics, clock)
        replica.add(self.identities, workers=1)
        reports = Verified(messages, self.identities, lambda *told: _is_held(self._ingesting, *told))
        beats = Verified(messages, self.identities, lambda *told: _is_held_in_part(self._judging, *told))
        looks = Verified(messages, self.identities, lambda *told: _is_held(self._answering, *told))
        self._ingest = Ingest(store, appender, reports, replica.metrics, self.identities.hosts, clock)
        self._edges = Edges(store, appender, reads, beats, thresholds, self.identities.count, clock)
        self._ingesting = replica.add(self._ingest)
        self._judging = replica.add(self._edges)
        cordons, shedding = Cordons(store, appender, reads, clock), Shedding(store, appender, reads)
        cordons.listen(replica.add(cordons, workers=4).wake)
        shedding.listen(replica.add(shedding, workers=4).wake)
        contact = Contact(store, appender, reads, clock)
        contact.listen(replica.add(contact, workers=4).wake)
        replica.add(Placement(store, appender, clock), workers=1)
        replica.add(Progress(store, appender, reads, clock), workers=128)
        replica.add(Gates(store, appender, reads, clock), workers=4)
        replica.add(Schedules(store, appender, reads, clock), workers=4)
        replica.add(Expiry(store, appender, reads, clock), workers=4)
        replica.add(Deadlines(store, appender, reads, clock), workers=4)
        replica.add(Retention(store, appender, reads))
        callbacks = Callbacks(store, appender, reads, sender, settings.terms(), clock, secrets)
        callbacks.listen(replica.add(callbacks, workers=WORKERS).wake)
        replica.add(Doubles(store, appender), workers=4)
        replica.add(Stats(store, appender), workers=1)
        replica.keep_log(settings, clock)
        self._digests = Digests(store, streams, looks, replica.metrics, self.identities.hosts)
        self._answering = replica.add(self._digests, workers=2)
        questions = Verified(messages, self.identities, lambda *told: _is_held_in_part(self._granting, *told))
        self._leases = Leases(store, appender, reads, questions, self.identities.hosts)
        self._granting = replica.add(self._leases)
        asks = Verified(messages, self.identities, lambda *told: _is_held(self._handing, *told))
        self._handover = Handover(store, secrets, asks) if secrets is not None else None
        self._handing = replica.add(self._handover) if self._handover is not None else None

        self._joining = Joining(appender, reads, messages, clock) if issuing is not None else None
        self._taking_in = replica.add(self._joining, workers=1) if self._joining is not None else None
        if issuing is not None:
            replica.add(Credentials(store, appender, reads, *issuing, clock), workers=1)

    async def run(self) -> None:
        """Runs until it is cancelled. Raises `Transient` where it cannot begin to listen."""
        await self._ingest.listen(self._ingesting.wake)
        await self._edges.listen(self._judging.wake)
        await self._digests.listen(self._answering.wake)
        await self._leases.listen(self._granting.wake)
        if self._handover is not None and self._handing is not None:
            await self._handover.listen(self._handing.wake)
        if self._joining is not None and self._taking_in is not None:
            await self._joining.listen(self._taking_in.wake)
        await self._replica.run()


def _is_held(controller: Controller | None, site: str, agent: str, edges: int) -> bool:
    """Whether an agent's key is this replica's."""
    del edges
    return controller is not None and controller.holds(f"{site}/{agent}")


def _is_held_in_part(controller: Controller, site: str, agent: str, edges: int) -> bool:
    """Whether the key of some edge of an agent is this replica's."""
    return edges > COUNTED or any(controller.holds(f"{site}/{edge}") for edge in wire.hosted_edges(agent, edges))
