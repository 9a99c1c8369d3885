"""docs/kubernetes.md and the manifest of roles against the code."""

import re

import yaml

import agents.settings
from agents.runtimes.kubernetes import files, handing, manifest, report
from agents.runtimes.protocol import GRACE_S
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/kubernetes.md").read_text()
ROLES = (ROOT / "deploy/kubernetes/agent.yaml").read_text()


def test_it_tells_every_variable_and_its_default() -> None:
    settings = agents.settings.Settings(tendril_nats_url="nats://x")
    rows = dict(re.findall(r"^\| `(EDGE_KUBERNETES_\w+)` \| .* \| `(.+?)` \|$", PAGE, re.MULTILINE))
    assert rows == {
        "EDGE_KUBERNETES_NAMESPACE": settings.edge_kubernetes_namespace,
        "EDGE_KUBERNETES_IMAGE": settings.edge_kubernetes_image,
    }


def test_it_tells_what_the_manifest_of_roles_allows() -> None:
    rows = re.findall(r"^\| `([\w/]+)`(?: \(\w+\))? \| ([a-z, ]+) \| .+ \|$", PAGE, re.MULTILINE)
    rules = [rule for one in yaml.safe_load_all(ROLES) for rule in one.get("rules", ())]
    allowed = {rule["resources"][0]: rule["verbs"] for rule in rules}
    assert {name: verbs.split(", ") for name, verbs in rows if name in allowed} == allowed
    assert set(allowed) == {"jobs", "pods", "pods/log", "pods/exec", "nodes"}


def test_its_names_are_the_codes() -> None:
    policy = next(one for one in yaml.safe_load_all(ROLES) if one["kind"] == "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"] == {manifest.NETWORK_LABEL: "none"}
    for word in (manifest.QUEUE_LABEL, manifest.NETWORK_LABEL, manifest.EDGE_LABEL):
        assert word in PAGE
    assert f"{report.NO_POD_AFTER_S:g} s" in PAGE
    assert (GRACE_S, manifest.LATEST_PULL_S, manifest.TTL_S) == (10, 3600, 86_400)  # as it says in words
    assert (manifest.HOLD_S, handing.HANDING_S) == (86_400, 3600)
    assert f"parts of {files.READ_BYTES // 2**20} MiB" in PAGE
