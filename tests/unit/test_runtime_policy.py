"""What an edge's operator allows, what is refused by it, and what a runtime without containers cannot give."""

from typing import Any

import pytest
from msgspec.structs import replace

from agents.runtimes.docker.container import container_options, host_options
from agents.runtimes.images import is_allowed, is_called
from agents.runtimes.policy import NOBODY, Policy
from agents.runtimes.process.unsupported import unsupported
from agents.runtimes.protocol import Gpus, Limits, Step, Work
from agents.runtimes.reasons import (
    DIGEST_REQUIRED,
    IMAGE_FORBIDDEN,
    LIMIT_FORBIDDEN,
    NETWORK_FORBIDDEN,
    ROOT_FORBIDDEN,
    UNSUPPORTED,
)
from datamodel.scheduling.images import image_name

MIB = 2**20
DIGEST = "sha256:" + "0" * 64
STEP = Step("run", "busybox:1", "true")
WORK = Work("s", "e", "a", (STEP,), {}, cpu=0.5, memory_bytes=64 * MIB)


def steps(**fields: Any) -> Work:
    """One step that is fine, then one with these fields."""
    return replace(WORK, steps=(STEP, replace(STEP, name="second", **fields)))


def limits(**fields: Any) -> Work:
    return replace(WORK, limits=Limits(**fields))


@pytest.mark.parametrize(
    ("work", "policy", "reason", "says"),
    [
        (
            replace(WORK, network="bridge"),
            Policy(),
            NETWORK_FORBIDDEN,
            "'bridge' is not allowed on this edge; allowed: none",
        ),
        (replace(WORK, network="host"), Policy(networks=("bridge",)), NETWORK_FORBIDDEN, "allowed: none, bridge"),
        (replace(WORK, network="default"), Policy(networks=("bridge",)), NETWORK_FORBIDDEN, "'default'"),
        (steps(image="evil/x"), Policy(images=("docker.io/library/*",)), IMAGE_FORBIDDEN, "docker.io/evil/x:latest"),
        (
            steps(),
            Policy(digests=True),
            DIGEST_REQUIRED,
            "step run: this edge runs images by digest only, not busybox:1",
        ),
        (steps(user="0:1000"), Policy(), ROOT_FORBIDDEN, "step second: user 0:1000"),
        (steps(user="000"), Policy(), ROOT_FORBIDDEN, "user 000"),
        (limits(pids=513), Policy(), LIMIT_FORBIDDEN, "limits.pids 513 is above this edge's 512"),
        (limits(tmp_bytes=2 * MIB), Policy(tmp_bytes=MIB), LIMIT_FORBIDDEN, "limits.tmpBytes 2097152"),
        (limits(swap_bytes=1), Policy(), LIMIT_FORBIDDEN, "limits.swapBytes 1 is above this edge's 0"),
    ],
)
def test_what_is_not_allowed_is_refused_with_a_reason(work: Work, policy: Policy, reason: str, says: str) -> None:
    refusal = policy.refusal(work)
    assert refusal is not None
    assert refusal.reason == reason
    assert says in refusal.message


@pytest.mark.parametrize(
    ("work", "policy"),
    [
        (WORK, Policy()),
        (replace(WORK, network="host"), Policy(networks=("bridge", "host"))),
        (steps(image="alpine"), Policy(images=("docker.io/library/*",))),
        (replace(WORK, steps=(replace(STEP, image=f"b@{DIGEST}"),)), Policy(digests=True)),
        (steps(user="0"), Policy(root=True)),
        (steps(user="1000"), Policy()),
        (limits(timeout_s=1e6, pids=512, tmp_bytes=2**30), Policy()),
        (limits(swap_bytes=5), Policy(swap_bytes=5)),
    ],
)
def test_what_is_allowed_is_not(work: Work, policy: Policy) -> None:
    assert policy.refusal(work) is None


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("tendril-test/busybox:1", "docker.io/tendril-test/busybox:1"),
        ("index.docker.io/library/x", "docker.io/library/x:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("r:5000/a/b", "r:5000/a/b:latest"),
        ("r.example/a/b:2", "r.example/a/b:2"),
        (f"r.example/a:1@{DIGEST}", f"r.example/a@{DIGEST}"),
    ],
)
def test_a_name_is_read_as_engines_read_it(written: str, full: str) -> None:
    assert str(image_name(written)) == full
    assert image_name(full) == image_name(written)


@pytest.mark.parametrize(
    ("written", "pattern", "allowed"),
    [
        ("busybox", "*", True),
        ("busybox:1", "docker.io/library/busybox", True),
        (f"busybox@{DIGEST}", "docker.io/library/busybox", True),
        ("busybox:2", "docker.io/library/busybox:1", False),
        ("busybox.evil.example/x", "docker.io/library/busybox*", False),
        ("busybox", "busybox", False),
        ("r.example/a/b/c:1", "r.example/a/*", True),
        ("R.EXAMPLE/a/b", "r.example/a/*", False),
    ],
)
def test_a_pattern_is_of_full_names(written: str, pattern: str, allowed: bool) -> None:  # noqa: FBT001
    assert is_allowed(written, [pattern]) == allowed


def test_an_image_is_not_called_by_its_id() -> None:
    names = ["busybox:1", f"busybox@{DIGEST}"]
    assert is_called("docker.io/library/busybox:1", names)
    assert is_called(f"busybox:other@{DIGEST}", names)
    assert not is_called("busybox", names)
    assert not is_called("7785ec30265f", names)
    assert not is_called("busybox", [])


@pytest.mark.parametrize(
    ("asked", "image", "root", "user"),
    [
        ("", "", False, NOBODY),
        ("", "root", False, NOBODY),
        ("", "0:0", False, NOBODY),
        ("", "1234", False, ""),
        ("", "app:app", False, ""),
        ("", "", True, ""),
        ("77:7", "", False, "77:7"),
        ("77:7", "app", True, "77:7"),
        ("0", "app", True, "0"),
    ],
)
def test_nobody_runs_as_root_unless_that_is_allowed(asked: str, image: str, root: bool, user: str) -> None:  # noqa: FBT001
    assert Policy(root=root).user_of(replace(STEP, user=asked), image) == user


def test_who_runs_as_another_than_the_image_says_has_its_home_in_the_shared_directory() -> None:
    assert container_options(WORK, 0, Policy(), "")["environment"]["HOME"] == "/shared"
    assert "HOME" not in container_options(WORK, 0, Policy(), "app")["environment"]
    own = replace(WORK, steps=(replace(STEP, env={"HOME": "/mine"}),))
    assert container_options(own, 0, Policy(), "")["environment"]["HOME"] == "/mine"


def test_a_container_gets_no_more_than_is_asked_for_and_allowed() -> None:
    host = host_options(WORK, 0, Policy())
    assert (host["network_mode"], host["pids_limit"], host["read_only"]) == ("none", 512, True)
    assert host["tmpfs"] == {"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={32 * MIB}"}
    assert (host["mem_limit"], host["memswap_limit"]) == (64 * MIB, 64 * MIB)
    assert not host.keys() & {"device_requests", "privileged", "devices", "mounts", "volumes_from"}
    assert host["binds"] == ["tendril-a:/shared"]


def test_a_container_gets_what_is_asked_for() -> None:
    asked = replace(
        WORK,
        steps=(replace(STEP, read_only_root=False, shell=("/bin/ash", "-e", "-c")),),
        limits=Limits(pids=20, tmp_bytes=MIB, swap_bytes=MIB),
        network="lab",
        gpus=Gpus(2, "amd"),
    )
    host = host_options(asked, 0, Policy())
    assert (host["network_mode"], host["pids_limit"], host["read_only"]) == ("lab", 20, False)
    assert host["tmpfs"]["/tmp"].endswith(f"size={MIB}")
    assert host["memswap_limit"] == 65 * MIB
    assert host["device_requests"] == [
        {"Driver": "amd", "Count": 2, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert container_options(asked, 0, Policy(), "")["entrypoint"] == ["/bin/ash", "-e", "-c", "true"]


@pytest.mark.parametrize(
    ("work", "names"),
    [
        (replace(WORK, network="bridge"), "network"),
        (replace(WORK, gpus=Gpus()), "requests.gpus"),
        (steps(user="5"), "user"),
        (limits(pids=99, tmp_bytes=1, swap_bytes=1), "limits.pids, limits.tmpBytes, limits.swapBytes"),
    ],
)
def test_a_runtime_without_containers_names_what_it_cannot_give(work: Work, names: str) -> None:
    refusal = unsupported(work)
    assert refusal is not None
    assert refusal.reason == UNSUPPORTED
    assert refusal.message == f"the process runtime of this edge cannot give {names}"


def test_what_any_host_can_give_is_not_refused() -> None:
    asked = replace(limits(timeout_s=5.0), steps=(replace(STEP, shell=("/bin/ash", "-c"), pull_policy="Never"),))
    assert unsupported(asked) is None
