"""Splitting: into how many chunks a job goes whose turn it is, and that leaves it open."""

from msgspec import structs

from datamodel.command import Command
from datamodel.node import Node
from datamodel.scheduling.placing import APART
from reconcilers.planning.backlog import PendingJob
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.search import Search
from reconcilers.planning.spots import room_apart


def split(job: PendingJob, fleet: Fleet, search: Search, left: int | None) -> PendingJob:
    """The job as it is once it is split: into as many chunks as there is room for now, on edges that suit it, beside what it
    may have at a time and what its group has `left` (None: any number); one where there is none. It is settled only as the
    first of them is placed, so a job that finds no room is split when it does."""
    assert job.most is not None, "it is to be split"
    most = min(bound for bound in (job.most, job.room, left) if bound is not None)
    if job.arrangement is not None and job.arrangement.chunks == APART:
        room = room_apart(search, job.arrangement, most)
    else:
        room = _room(fleet, search, most)
    return structs.replace(job, count=max(1, room))


def splitting(job: Node, decided: PendingJob) -> tuple[Command, ...]:
    """What settles it, before the first attempts in their unit: for a job that nobody has changed since it was read. Nothing
    where it is settled."""
    if decided.most is None:
        return ()
    split = {"split": {"chunks": decided.count}}
    return (Command("patchStatus", job.path, split, expected_version=job.version, correlation=job.correlation),)


def _room(fleet: Fleet, search: Search, most: int) -> int:
    """How many such chunks there is room for; so many are enough."""
    found = 0
    for path in search.roomy():
        if found >= most:
            break
        found += fleet.times(path, search.wanted.signature)
    return min(found, most)
