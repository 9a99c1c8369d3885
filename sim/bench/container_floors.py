"""What an engine carries with nothing of Tendril between it and the caller: a container of the same making, run by the calls
that it takes and no others, and by `docker run`. Both block."""

import contextlib
import shutil
import subprocess

import docker
from docker.errors import NotFound

from agents.runtimes.docker.archive import open_to_all, result_in
from agents.runtimes.docker.container import container_name, container_options, host_options, labels, volume_name
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Step, Work
from agents.runtimes.shared import RESULT_FILE, SHARED
from sim.bench.engine import IMAGE, TIMEOUT_S, Watch

CPU = 1.0
MEMORY_BYTES = 64 * 2**20
SCRIPT = "true"
POLICY = Policy()

_ENV = {"CHUNK_INDEX": "0", "CHUNK_COUNT": "1"}


def work(attempt: str) -> Work:
    """One that no agent takes for its own."""
    return Work("bench", "floor", attempt, (Step("work", IMAGE, SCRIPT),), _ENV, cpu=CPU, memory_bytes=MEMORY_BYTES)


def run_directly(client: docker.APIClient, watch: Watch, attempt: str) -> None:
    """A volume that everybody may write to, a container, its start, its end by the engine's events, its log, its result, and
    nothing left."""
    one = work(attempt)
    name, volume = container_name(attempt, one.steps[0].name), volume_name(attempt)
    host_config = client.create_host_config(**host_options(one, 0, POLICY))
    client.create_volume(volume, labels=labels(one))
    client.create_container(**container_options(one, 0, POLICY, ""), host_config=host_config)
    client.put_archive(name, SHARED, open_to_all())
    client.start(name)
    watch.until_ended(attempt)
    client.logs(name, timestamps=True)
    with contextlib.suppress(NotFound):
        result_in(client.get_archive(name, f"{SHARED}/{RESULT_FILE}")[0])
    client.remove_container(name, v=True)
    client.remove_volume(volume)


def docker_run_argv(attempt: str) -> list[str]:
    """`docker run` with the same flags; but its volume is root's, since it has no flag for that."""
    one = work(attempt)
    options, host = container_options(one, 0, POLICY, ""), host_options(one, 0, POLICY)
    said = [f"--label={key}={value}" for key, value in options["labels"].items()]
    said += [f"--env={key}={value}" for key, value in options["environment"].items()]
    said += [f"--log-opt={key}={value}" for key, value in host["log_config"].config.items()]
    said += [f"--tmpfs={path}:{flags}" for path, flags in host["tmpfs"].items()]
    command, *arguments = options["entrypoint"]
    return [
        *("docker", "run", "--rm", "--init", "--read-only", "--cap-drop=ALL", *said),
        *(f"--security-opt={option}" for option in host["security_opt"]),
        f"--name={options['name']}",
        f"--volume={SHARED}",
        f"--user={options['user']}",
        f"--ipc={host['ipc_mode']}",
        f"--network={host['network_mode']}",
        f"--log-driver={host['log_config'].type}",
        f"--pids-limit={host['pids_limit']}",
        f"--cpus={CPU}",
        f"--memory={host['mem_limit']}",
        f"--memory-swap={host['memswap_limit']}",
        f"--entrypoint={command}",
        *(IMAGE, *arguments),
    ]


def docker_run(attempt: str) -> None:
    subprocess.run(docker_run_argv(attempt), check=True, capture_output=True, timeout=TIMEOUT_S)  # noqa: S603 - our own


def has_docker_run() -> bool:
    return shutil.which("docker") is not None
