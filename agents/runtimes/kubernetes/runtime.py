"""The runtime for a Kubernetes cluster: an attempt is a Job, a step an init container of its pod."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path

from agents.runtimes.kubernetes.cluster import JOBS, PODS, Cluster, Document
from agents.runtimes.kubernetes.files import open_pod_file
from agents.runtimes.kubernetes.following import Followers
from agents.runtimes.kubernetes.handing import HAND_COMMAND, handed, is_given_something
from agents.runtimes.kubernetes.lines import lines_in
from agents.runtimes.kubernetes.manifest import (
    ATTEMPT_LABEL,
    HOLD,
    PREPARE,
    RESULT,
    SITE_LABEL,
    job_manifest,
    job_name,
    step_container,
    unsupported,
)
from agents.runtimes.kubernetes.report import (
    attempt_in,
    cannot_start,
    container_ended,
    container_runs,
    failed_step,
    is_over,
    is_placed,
    observed,
    pod_of,
)
from agents.runtimes.kubernetes.watching import Watch
from agents.runtimes.kubernetes.wrapper import RESULT_READ_BYTES, result_in
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import GRACE_S, LogPage, Observed, Refusal, SharedFile, Work
from agents.runtimes.wakes import Wakes
from datamodel.errors import Conflict, Invalid, NotFound, Transient

_END_TIMEOUT_S = 30.0
_REMOVE_GRACE_S = 1
_SENT_BYTES = 32 * 1024
_TAIL = {"tailLines": 12, "timestamps": "true", "limitBytes": 64 * 1024}


class KubernetesRuntime:
    """Runs attempts as Jobs named `tendril-<attempt>`, labelled, limited, without capabilities.

    All steps of an attempt are in its Job from the start, so the cluster goes on from one to the next by itself; `start_step`
    makes the Job for the first. What runs is known from the cluster only, by its labels, so a new instance adopts all of it.
    The one exception is a Job that the cluster refused: that is remembered here, and forgotten with the process. An agent that
    restarts sees such an attempt as not started, and starting it finds out again. Under `state_dir` lies what was copied of
    logs.
    """

    name = "kubernetes"
    keeps_output = True
    not_isolated = ()
    guards = False

    def __init__(
        self,
        *,
        site: str,
        edges: Collection[str],
        state_dir: Path,
        namespace: str,
        tools_image: str,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> None:
        self._site = site
        self._edges = frozenset(edges)
        self._tools_image = tools_image
        self._policy = policy
        self._cluster = Cluster(namespace)
        self._followers = Followers(self._cluster, state_dir.absolute(), self._pod)
        self._watches: list[asyncio.Task[None]] = []
        self._changed: Callable[[str], None] = lambda _: None
        self._wakes = Wakes()
        self._refused: dict[str, Observed] = {}
        self._handed: set[str] = set()
        """Attempts that have been given what they wait for, or are being given it."""

    def refuses(self, work: Work) -> Refusal | None:
        return self._policy.refusal(work) or unsupported(work)

    async def open(self, changed: Callable[[str], None]) -> None:
        """Raises `Transient` where no API server answers, `Invalid` where nothing says how to log in, or it does not let us."""
        self._changed = changed
        await self._cluster.open()
        for path in (JOBS, PODS):
            watch = Watch(self._cluster, path, self._site, self._edges, self._tell)
            self._watches.append(asyncio.create_task(watch.run(), name=f"watch {path}"))

    async def close(self) -> None:
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._followers.close()
        await self._cluster.close()

    async def check(self) -> None:
        await self._cluster.call("GET", JOBS, {"limit": 1})

    async def discover(self) -> list[Observed]:
        jobs, _ = await self._cluster.items(JOBS, f"{SITE_LABEL}={self._site}")
        attempts = {attempt_in(job["metadata"].get("labels"), self._edges) for job in jobs} | self._refused.keys()
        found = await asyncio.gather(*(self.observe(attempt) for attempt in sorted(filter(None, attempts))))
        return [one for one in found if one is not None]

    async def observe(self, attempt: str) -> Observed | None:
        job = await self._job(attempt)
        if job is None:
            return self._refused.get(attempt)
        pods = await self._pods(attempt)
        found = observed(job, pods, time.time(), await self._stderr(pod_of(pods)))
        return found if found.site == self._site and found.edge in self._edges else None

    async def start_step(self, work: Work, index: int) -> None:
        if work.attempt in self._refused:
            return
        job = await self._job(work.attempt)
        if job is None and index == 0:
            await self._create(work)
        elif job is None or job["metadata"].get("deletionTimestamp"):
            raise Transient(f"the Job of {work.attempt} is being removed")
        elif index == 0 and is_given_something(work):
            await self._hand(work)

    async def lease(self, attempt: str, until_s: float) -> None:
        del until_s
        raise Invalid(f"{attempt} cannot be ended here without its agent")

    async def stop(self, attempt: str, grace_s: float) -> None:
        """TERM to what runs of its pod, then KILL after the pod's own grace, which its job says, whatever `grace_s` is. A
        kubelet does that to a pod that is beyond its deadline, and keeps its story. What no kubelet has is removed. Raises
        `Transient` where the cluster does not end it."""
        del grace_s
        pod = await self._pod(attempt)
        if pod is None or not is_placed(pod):
            await self._delete(attempt)
            return
        own_s: float = pod["spec"].get("terminationGracePeriodSeconds", GRACE_S)
        if not is_over(pod):
            deadline = {"spec": {"activeDeadlineSeconds": 1}}
            with contextlib.suppress(NotFound):
                await self._cluster.call("PATCH", f"{PODS}/{pod['metadata']['name']}", body=deadline)
        if not await self._wakes.until(attempt, lambda: self._ended(attempt), own_s + _END_TIMEOUT_S):
            raise Transient(f"the pod of {attempt} outlives its deadline")

    async def result(self, attempt: str) -> bytes | None:
        pod = await self._pod(attempt)
        if pod is None or not container_ended(pod, RESULT):
            return None
        query = {"container": RESULT, "limitBytes": RESULT_READ_BYTES}
        return result_in(await self._cluster.text(f"{PODS}/{pod['metadata']['name']}/log", query))

    async def open_file(self, attempt: str, path: str) -> SharedFile | None:
        """Only of an attempt that declares artifacts: the pod of another is over with its steps, with all that is in it."""
        pod = await self._pod(attempt)
        if pod is None or HOLD not in (one["name"] for one in pod["spec"]["containers"]):
            return None
        if not container_runs(pod, HOLD):
            raise Transient(f"the pod of {attempt} holds no files, or not any more")
        try:
            return await open_pod_file(self._cluster, pod["metadata"]["name"], path)
        except NotFound:
            return None

    async def logs(self, attempt: str, index: int, after: str, limit_bytes: int) -> LogPage:
        return await self._followers.logs(attempt, index, after, limit_bytes)

    async def remove(self, attempt: str) -> None:
        """Returns when the cluster has nothing of it any more. Raises `Transient` where that takes too long."""
        await self._delete(attempt)
        await self._followers.forget(attempt)
        self._refused.pop(attempt, None)
        self._handed.discard(attempt)

    async def _create(self, work: Work) -> None:
        try:
            await self._cluster.call("POST", JOBS, body=job_manifest(work, self._policy, self._tools_image))
        except Conflict:  # we were here before
            pass
        except Invalid as error:
            self._refuse(work, error.message)

    def _refuse(self, work: Work, message: str) -> None:
        end = cannot_start(message, time.time())
        self._refused[work.attempt] = Observed.of(work, (end,))

    async def _hand(self, work: Work) -> None:
        """Gives a pod what its steps wait for, once it can take it: until then nothing is observed of a step, so this comes
        again. Raises `Transient` where it has to."""
        pod = await self._pod(work.attempt)
        if pod is None or not container_runs(pod, PREPARE) or work.attempt in self._handed:
            return
        self._handed.add(work.attempt)
        try:
            await self._cluster.run(pod["metadata"]["name"], PREPARE, HAND_COMMAND, _read(handed(work)))
        except Invalid as error:
            self._refuse(work, error.message)
            await self._delete(work.attempt)
        except OSError as error:
            self._handed.discard(work.attempt)
            raise Transient(f"{work.attempt}: what it is given cannot be read: {error.strerror}") from error
        except BaseException:
            self._handed.discard(work.attempt)
            raise

    async def _delete(self, attempt: str) -> None:
        query = {"labelSelector": f"{ATTEMPT_LABEL}={attempt}", "gracePeriodSeconds": _REMOVE_GRACE_S}
        with contextlib.suppress(NotFound):
            await self._cluster.call("DELETE", self._path(attempt), {"propagationPolicy": "Background"})
        await self._cluster.call("DELETE", PODS, query)
        if not await self._wakes.until(attempt, lambda: self._gone(attempt), _END_TIMEOUT_S):
            raise Transient(f"the pod of {attempt} outlives its removal")

    async def _job(self, attempt: str) -> Document | None:
        return await self._cluster.find(self._path(attempt))

    async def _pod(self, attempt: str) -> Document | None:
        return pod_of(await self._pods(attempt))

    async def _pods(self, attempt: str) -> list[Document]:
        pods, _ = await self._cluster.items(PODS, f"{ATTEMPT_LABEL}={attempt}")
        return pods

    async def _stderr(self, pod: Document | None) -> str:
        """The end of what a failed step wrote to stderr; empty where nothing can be read of it."""
        if pod is None or (index := failed_step(pod)) is None:
            return ""
        try:
            path = f"{PODS}/{pod['metadata']['name']}/log"
            tail = await self._cluster.text(path, {**_TAIL, "container": step_container(index)})
        except (NotFound, Invalid, Transient):
            return ""
        said = b"".join(line.data for line in lines_in(tail) if line.stream == "stderr")
        return said.decode(errors="replace")

    async def _ended(self, attempt: str) -> bool:
        pod = await self._pod(attempt)
        return pod is None or is_over(pod)

    async def _gone(self, attempt: str) -> bool:
        return not await self._pods(attempt) and await self._job(attempt) is None

    def _path(self, attempt: str) -> str:
        return f"{JOBS}/{job_name(attempt)}"

    def _tell(self, attempt: str) -> None:
        self._wakes.wake(attempt)
        self._changed(attempt)


async def _read(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """In pieces that a connection takes well; their source blocks."""
    while (data := await asyncio.to_thread(next, parts, None)) is not None:
        for at in range(0, len(data), _SENT_BYTES):
            yield data[at : at + _SENT_BYTES]
