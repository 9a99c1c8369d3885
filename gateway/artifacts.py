"""The artifacts of a job's chunks: those of the attempts that count, and of no others."""

import msgspec

from datamodel.errors import NotFound
from datamodel.kinds import Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Store
from datamodel.scheduling.artifacts import key_of
from datamodel.scheduling.edges import place_of
from datamodel.scheduling.jobs import SUCCEEDED
from datamodel.scheduling.splitting import array_index, chunks_at_most


class ArtifactOfChunk(msgspec.Struct, frozen=True, rename="camel"):
    """A file that a chunk has left. `array_index` is the chunk's own in the set that the job names, null where that names none.
    `sha256` is lower-case hex."""

    chunk: int
    array_index: int | None
    name: str
    bytes: int
    sha256: str
    attempt: str


class Found(msgspec.Struct, frozen=True):
    """An artifact, and the attempt that has left it."""

    node: Node
    told: Document

    @property
    def key(self) -> str:
        """Of its pieces."""
        return key_of(*place_of(self.node.path), last_name(self.node.path), self.told["name"])

    @property
    def size_bytes(self) -> int:
        size: int = self.told["bytes"]
        return size

    @property
    def sha256(self) -> str:
        checksum: str = self.told["sha256"]
        return checksum


async def artifacts_of(store: Store, job: Node, after: int, chunks: int) -> tuple[list[ArtifactOfChunk], int | None]:
    """The artifacts of the job's next so many succeeded chunks behind the index `after` (-1: from the first), and the index of
    the last of these chunks where more may follow."""
    if not job.spec.get("artifacts"):
        return [], None
    entries = await store.entries(job.uid, after=after, phases=(SUCCEEDED,), limit=chunks)
    nodes = await store.nodes([entry.holder for entry in entries])
    listed = [
        ArtifactOfChunk(
            entry.index,
            array_index(job, entry.index),
            told["name"],
            told["bytes"],
            told["sha256"],
            last_name(entry.holder),
        )
        for entry in entries
        if entry.holder in nodes
        for told in nodes[entry.holder].status.get("artifacts", ())
    ]
    return listed, entries[-1].index if len(entries) == chunks else None


async def find(store: Store, job: Node, chunk: int, name: str) -> Found:
    """An artifact of a chunk. Raises `NotFound`, saying what is missing."""
    declared = [artifact["name"] for artifact in job.spec.get("artifacts", ())]
    if name not in declared:
        raise NotFound(f"the job has no artifact {name[:80]!r}: it has {', '.join(declared) or 'none'}")
    if chunk >= (count := chunks_at_most(job)):
        raise NotFound(f"the job has {count} chunks, from 0 on")
    entries = await store.entries(job.uid, after=chunk - 1, limit=1)
    if not entries or entries[0].index != chunk or entries[0].phase != SUCCEEDED:
        raise NotFound(f"chunk {chunk} has not succeeded")
    node = (await store.nodes([entries[0].holder])).get(entries[0].holder)
    told = next((one for one in node.status.get("artifacts", ()) if one["name"] == name), None) if node else None
    if node is None or told is None:
        raise NotFound(f"the attempt at chunk {chunk} is gone, and its artifacts with it")
    return Found(node, told)
