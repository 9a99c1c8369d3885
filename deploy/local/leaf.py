"""A site's own NATS server, run as our own child from the directory that `tendril edge leaf-config` has written."""

from pathlib import Path

import msgspec

from datamodel.errors import Invalid
from deploy.local.child import Child
from deploy.local.nats import START_TIMEOUT_S, greets, server
from deploy.local.supervisor import Supervisor

CONFIGURATION = "leaf.conf"


class _Read(msgspec.Struct):
    server_name: str
    listen: str


async def start_leaf(directory: Path, supervisor: Supervisor, name: str = "leaf") -> str:
    """Starts it as a child of this name, and returns the URL for its agents when it serves, whether the hub is reached or not.

    Raises `Invalid` where there is no such configuration, `Transient` where it does not serve.
    """
    child, url = leaf_child(directory, name)
    supervisor.launch(child)
    await supervisor.until_ready(timeout_s=START_TIMEOUT_S)
    return url


def leaf_child(directory: Path, name: str = "leaf") -> tuple[Child, str]:
    """The same as a child to launch, with the URL."""
    configuration = directory / CONFIGURATION
    try:
        read = msgspec.json.decode(configuration.read_bytes(), type=_Read)
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{configuration} is no configuration of a leaf node: {error}") from error
    host, _, port = read.listen.rpartition(":")
    child = server(name, configuration, lambda: greets(host, int(port), read.server_name))
    return child, f"nats://{read.listen}"
