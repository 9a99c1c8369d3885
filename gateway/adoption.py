"""Adopting the result of an attempt that came too late: another one had been made at its chunk by then."""

from datamodel.command import Command
from datamodel.errors import Conflict
from datamodel.node import Node
from datamodel.scheduling.edges import desired_path
from datamodel.scheduling.jobs import ABORTED, FAILED, SUCCEEDED
from gateway.backend import ASKING, Backend
from gateway.once import Once
from gateway.verbs import VERBS

SUMMARY = "Take the result of an attempt that was replaced for its chunk's; what runs of that is stopped"


async def adopt(
    backend: Backend,
    site: str,
    edge: str,
    attempt: str,
    *,
    expected_version: int | None = None,
    key: str = "",
    digest: str = "",
) -> Node:
    """The attempt then. A job that has failed goes on by it, as if it was tried again. Raises `NotFound`, and `Conflict` where
    it has no result that was kept, or its chunk has one already, or its job has ended otherwise. With an idempotency key it
    is done once."""
    path = f"{desired_path(site, edge)}/attempts/{attempt}"
    once = Once(backend, key, digest, actor=ASKING)
    if (replayed := await once.replayed()) is not None:
        return await backend.node_after(replayed)
    node = await backend.node(path)
    job = await backend.reads.node(node.spec["job"])
    commands = [Command("patchSpec", path, {"adopted": True}, expected_version=expected_version)]
    if job is not None and job.uid in node.links["job"]:
        if job.phase in (SUCCEEDED, ABORTED):
            raise Conflict(f"{job.path} has ended: it is {job.phase}")
        if job.phase == FAILED:
            again = await VERBS["retry"](backend, job)
            commands.insert(0, Command("patchSpec", job.path, again, expected_version=job.version))
    return await backend.node_after(await once.write(*commands))
