"""Files that the steps of an attempt have left, read out of the container that keeps its pod for that."""

from agents.runtimes.kubernetes.cluster import Cluster
from agents.runtimes.kubernetes.manifest import HOLD
from agents.runtimes.shared import SHARED, no_file
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.artifacts import is_shared_path

READ_BYTES = 4 * 2**20
"""Of one program that is run there: it takes a tenth of a second to begin."""
_BLOCK_BYTES = 64 * 1024

# Nothing else runs there any more, so what is found of a path stays true.
_FIND_SCRIPT = f"""
found={SHARED} rest=$1/
while [ "$rest" ]; do
  found=$found/${{rest%%/*}} rest=${{rest#*/}}
  if [ -L "$found" ]; then echo link; exit; fi
  if [ ! -e "$found" ]; then [ -x "${{found%/*}}" ] && echo none || echo closed; exit; fi
  if [ "$rest" ] && [ ! -d "$found" ]; then echo else; exit; fi
done
if [ ! -f "$found" ]; then echo else
elif [ ! -r "$found" ]; then echo closed
else /bin/busybox stat -c %s "$found"
fi
""".strip()
_READ_SCRIPT = (
    f'exec /bin/busybox dd if="$1" bs={_BLOCK_BYTES} skip="$2" count={READ_BYTES // _BLOCK_BYTES} 2> /dev/null'
)


class PodFile:
    """The port `SharedFile` over a file in a pod. It is read in parts of a size, each by a program of its own."""

    def __init__(self, cluster: Cluster, pod: str, path: str, size_bytes: int) -> None:
        self._cluster, self._pod, self._path = cluster, pod, path
        self._held = b""
        self._read_bytes = 0
        self.size_bytes = size_bytes

    async def read(self, limit_bytes: int) -> bytes:
        if not self._held and self._read_bytes < self.size_bytes:
            self._held = await self._next()
            self._read_bytes += len(self._held)
        data, self._held = self._held[:limit_bytes], self._held[limit_bytes:]
        return data

    async def close(self) -> None:
        self._held = b""

    async def _next(self) -> bytes:
        place, skip = f"{SHARED}/{self._path}", self._read_bytes // _BLOCK_BYTES
        data = await _run(self._cluster, self._pod, _READ_SCRIPT, place, str(skip))
        if len(data) != min(READ_BYTES, self.size_bytes - self._read_bytes):
            raise Transient(f"{place} was not read whole")
        return data


async def open_pod_file(cluster: Cluster, pod: str, path: str) -> PodFile | None:
    """The file at a path below the shared directory of a pod; None where nothing is there. Raises `Invalid`."""
    if not is_shared_path(path):
        raise Invalid(f"{path[:80]!r} is no path below {SHARED}")
    found = (await _run(cluster, pod, _FIND_SCRIPT, path)).decode(errors="replace").strip()
    match found:
        case "none":
            return None
        case "link":
            raise no_file(path, "reached by way of a link")
        case "else":
            raise no_file(path, "something else")
        case "closed":
            raise Invalid(f"{SHARED}/{path} cannot be read by the user of the last step")
        case size if size.isascii() and size.isdecimal():
            return PodFile(cluster, pod, path, int(size))
        case _:
            raise Transient(f"{SHARED}/{path} cannot be looked at: {found[:200]!r}")


async def _run(cluster: Cluster, pod: str, script: str, *arguments: str) -> bytes:
    command = ("/bin/busybox", "sh", "-c", script, "sh", *arguments)
    return await cluster.run(pod, HOLD, command, limit_bytes=READ_BYTES + _BLOCK_BYTES)
