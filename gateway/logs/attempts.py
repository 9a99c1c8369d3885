"""Which attempt at a chunk a request for logs means."""

import msgspec

from datamodel.errors import Invalid, NotFound
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.attempts import VACANT, attempt_name, claim_of
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.logs import key_of
from datamodel.scheduling.splitting import chunks_at_most
from gateway.backend import Backend
from gateway.executions import places_of


class Asked(msgspec.Struct, frozen=True):
    """A chunk, and which try at it: None stands for the newest."""

    chunk: int
    epoch: int | None = None


class Found(msgspec.Struct, frozen=True):
    """An attempt that was placed."""

    epoch: int
    node: Node

    @property
    def key(self) -> str:
        """Of its transcript."""
        return key_of(*place_of(self.node.path), last_name(self.node.path))

    @property
    def ended(self) -> bool:
        return self.node.phase in VACANT


def asked_of(job: Node, chunk: int | None, epoch: int | None, attempt: str | None) -> Asked:
    """What parameters ask for. Raises `Invalid` where they do not say which chunk, `NotFound` where the job has none such."""
    if attempt is not None:
        claim = claim_of(attempt)
        if claim is None or claim.owner != job.uid:
            raise NotFound(f"{job.path} has no attempt {attempt[:80]!r}", field="?attempt")
        if chunk not in (None, claim.index) or epoch not in (None, claim.epoch):
            raise Invalid("the attempt is one of another chunk or epoch", field="?attempt")
        chunk, epoch = claim.index, claim.epoch
    count = chunks_at_most(job)
    if chunk is None:
        if count > 1:
            raise Invalid(f"the job has {count} chunks: say of which one, 0 to {count - 1}", field="?chunk")
        chunk = 0
    if chunk >= count:
        raise NotFound(f"the job has {count} chunks, 0 to {count - 1}", field="?chunk")
    return Asked(chunk, epoch)


async def find(backend: Backend, job: Node, asked: Asked) -> Found | None:
    """The attempt; None where the chunk was not placed yet. Raises `NotFound` where there was never such an attempt, or it is
    gone."""
    entries = await backend.store.entries(job.uid, after=asked.chunk - 1, limit=1)
    if not entries or entries[0].index != asked.chunk:
        return None
    entry = entries[0]
    epoch = asked.epoch if asked.epoch is not None else entry.epoch
    if not 1 <= epoch <= entry.epoch:
        raise NotFound(f"chunk {asked.chunk} was tried in the epochs 1 to {entry.epoch}", field="?epoch")
    paths = [entry.holder]
    if epoch != entry.epoch:
        name = attempt_name(job.uid, asked.chunk, epoch)
        places = await places_of(backend.store, [job.uid])
        paths = [f"{place}/attempts/{name}" for place in places[job.uid]]
    nodes = await backend.store.nodes(paths)
    if not nodes:
        raise NotFound(f"the attempt at chunk {asked.chunk} of epoch {epoch} is gone", field="?epoch")
    return Found(epoch, next(iter(nodes.values())))
