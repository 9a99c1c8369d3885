"""What the cluster that the environment names has to give."""

from agents.runtimes.kubernetes.capacity import Capacity, capacity_of
from agents.runtimes.kubernetes.cluster import NODES, Cluster
from datamodel.errors import Invalid


async def cluster_capacity(namespace: str) -> Capacity:
    """Of all nodes together. Raises `Transient` where no API server answers, `Invalid` where it does not let us list them,
    or none of them takes pods."""
    cluster = Cluster(namespace)
    try:
        await cluster.open()
        nodes, _ = await cluster.items(NODES)
    except Invalid as error:
        raise Invalid(
            f"the cluster does not tell its capacity; declare it: {error.message}", field="EDGE_CPU"
        ) from error
    finally:
        await cluster.close()
    found = capacity_of(nodes)
    if not (found.cpu and found.memory_bytes):
        raise Invalid("no node of the cluster takes pods; declare the capacity", field="EDGE_CPU")
    return found
