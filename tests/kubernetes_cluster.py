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


@dataclass(frozen=True)
class KubernetesCluster:
    """A namespace of it, and an image with a static busybox that its nodes have or can pull."""

    namespace: str
    image: str

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
    if not os.environ.get(KUBECONFIG_VARIABLE):
        pytest.skip(f"needs a Kubernetes cluster: set {KUBECONFIG_VARIABLE} to a kubeconfig")
    namespace = os.environ.get(NAMESPACE_VARIABLE, "tendril")
    return KubernetesCluster(namespace, os.environ.get(IMAGE_VARIABLE, "docker.io/library/busybox:stable-musl"))
