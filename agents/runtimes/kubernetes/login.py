"""How an agent logs in to a cluster: as its pod's service account, or as a kubeconfig says."""

import os
from typing import Any

from kubernetes.aio import client, config

from datamodel.errors import Invalid

IN_CLUSTER_VARIABLE = "KUBERNETES_SERVICE_HOST"
KUBECONFIG_VARIABLE = "KUBECONFIG"


async def login() -> Any:
    """The configuration of a client. A kubeconfig that the environment names goes before the pod's own account; elsewhere it is
    `~/.kube/config`. Raises `Invalid` where there is none, or it cannot be read."""
    found = client.Configuration()
    try:
        if IN_CLUSTER_VARIABLE in os.environ and KUBECONFIG_VARIABLE not in os.environ:
            config.load_incluster_config(client_configuration=found)
        else:
            await config.load_kube_config(os.environ.get(KUBECONFIG_VARIABLE), client_configuration=found)
    except (config.ConfigException, OSError) as error:
        raise Invalid(f"no way to log in to a cluster: {error}", field=KUBECONFIG_VARIABLE) from error
    return found
