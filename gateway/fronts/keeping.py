"""The secrets that come with builds: one for each job that has some, kept for as long as it may need it.

Nobody else removes them, so each build that brings one looks at some others by the way: the next ones in order of name, and
after the last the first again.
"""

import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from datamodel.errors import TendrilError, Transient
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.scheduling.jobs import ABORTED, SUCCEEDED
from datamodel.secrets.ports import Described, Keeping, Scope
from datamodel.secrets.value import values_in
from gateway.backend import Backend
from gateway.fronts.hades import Build
from gateway.fronts.pointers import naming
from gateway.jobs import GROUP_DEFAULT, group_path, job_path, submit
from gateway.secrets import keeping, scope_of

LOOKED_AT = 20
"""Secrets that are looked at for each one that comes."""
GRACE = timedelta(minutes=10)
"""For the job of a secret to come, which is put first."""

_NAME = re.compile(r"hades-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


class Builds:
    """Submits builds, and removes the secrets of earlier ones."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._looked_at = ""
        """The name of the secret that was looked at last."""

    async def submit(self, build: Build, *, key: str = "", digest: str = "") -> Node:
        """Creates the job of a build with its secret, or with neither. Raises what refuses it, `Forbidden` where it has
        credentials and none are taken in, with pointers into what was sent."""
        with naming(build.places):
            if not build.values:
                return await submit(self._backend, build.document, key=key, digest=digest)
            values = values_in({"data": dict(build.values)})
            kept, scope = keeping(self._backend), await scope_of(self._backend, group_path(GROUP_DEFAULT))
            await self._remove_unwanted(kept, scope)
            await kept.put(scope, build.secret, values)
            try:
                job = await submit(self._backend, build.document, key=key, digest=digest)
            except TendrilError as error:
                if not isinstance(error, Transient):  # then there may be a job
                    await _remove(kept, scope, build.secret)
                raise
            if last_name(job.path) != build.document["name"]:  # an earlier request's, which has its own
                await _remove(kept, scope, build.secret)
            return job

    async def _remove_unwanted(self, kept: Keeping, scope: Scope) -> None:
        listed = await kept.listed(scope, self._looked_at, LOOKED_AT)
        self._looked_at = listed[-1].name if len(listed) == LOOKED_AT else ""
        paths = [_path(found) for secret in listed if (found := _NAME.fullmatch(secret.name)) is not None]
        jobs = await self._backend.store.nodes(paths) if paths else {}
        for name in unwanted(listed, jobs, datetime.now(UTC)):
            await _remove(kept, scope, name)


def unwanted(kept: Sequence[Described], jobs: Mapping[str, Node], now: datetime) -> list[str]:
    """The names of secrets of builds that no job needs any more: it has succeeded, was aborted, or is gone. One that has
    failed may be tried again."""
    names = []
    for secret in kept:
        found = _NAME.fullmatch(secret.name)
        if found is None:
            continue
        job = jobs.get(_path(found))
        gone = job is None and secret.updated_at < now - GRACE
        if gone or (job is not None and job.phase in (SUCCEEDED, ABORTED)):
            names.append(secret.name)
    return names


async def _remove(kept: Keeping, scope: Scope, name: str) -> None:
    """Where it cannot be removed now, it will be by another build."""
    with contextlib.suppress(Transient):
        await kept.delete(scope, name)


def _path(found: re.Match[str]) -> str:
    return job_path(GROUP_DEFAULT, found[1])
