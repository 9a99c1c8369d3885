"""The cluster that tests of the Kubernetes runtime use: any that the environment names."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.runtimes.kubernetes.login import KUBECONFIG_VARIABLE
from agents.runtimes.kubernetes.runtime import KubernetesRuntime
from agents.runtimes.policy import Policy

IMAGE_VARIABLE = "TENDRIL_KUBERNETES_IMAGE"
NAMESPACE_VARIABLE = "TENDRIL_KUBERNETES_NAMESPACE"
OTHERS_VARIABLE = "TENDRIL_KUBERNETES_OTHERS"
"""A kubeconfig of somebody who may do what an agent may not, as Kueue does; else the agent's own."""


@dataclass(frozen=True)
class KubernetesCluster:
    """A namespace of it, and an image with a static busybox that its nodes have or can pull."""

    namespace: str
    image: str
    others_kubeconfig: str

    def runtime(
        self,
        site: str,
        edges: Collection[str],
        state_dir: Path,
        policy: Policy = Policy(),  # noqa: B008 - frozen
    ) -> KubernetesRuntime:
        return KubernetesRuntime(
            site=site,
            edges=edges,
            state_dir=state_dir,
            namespace=self.namespace,
            tools_image=self.image,
            policy=policy,
        )


def kubernetes_cluster() -> KubernetesCluster:
    """Skips the test where the environment names no cluster."""
    kubeconfig = os.environ.get(KUBECONFIG_VARIABLE)
    if not kubeconfig:
        pytest.skip(f"needs a Kubernetes cluster: set {KUBECONFIG_VARIABLE} to a kubeconfig")
    namespace = os.environ.get(NAMESPACE_VARIABLE, "tendril")
    image = os.environ.get(IMAGE_VARIABLE, "docker.io/library/busybox:stable-musl")
    return KubernetesCluster(namespace, image, os.environ.get(OTHERS_VARIABLE, kubeconfig))
