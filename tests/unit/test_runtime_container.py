"""What the engine's account of a container means, and what crosses to it as archives."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from docker.types import HostConfig
from msgspec.structs import replace

from agents.runtimes.docker.archive import open_to_all, result_in
from agents.runtimes.docker.container import (
    container_options,
    host_options,
    init_error_in,
    observed,
    on_a_full_disk,
    step_state,
)
from agents.runtimes.docker.disk import Shortages, is_full
from agents.runtimes.policy import Policy
from agents.runtimes.protocol import Given, Observed, Step, StepState, Work
from agents.runtimes.reasons import CANNOT_START, DISK_FULL, OOM_KILLED, PIDS_EXHAUSTED, SHELL_MISSING
from agents.runtimes.shared import RESULT_LIMIT_BYTES
from datamodel.errors import Invalid

NEVER = "0001-01-01T00:00:00Z"
CREATED, STARTED, FINISHED = (f"2026-01-01T00:00:0{second}.123456789Z" for second in (1, 2, 3))
OOM = "it used more memory than the job requests"
STARTED_S, FINISHED_S = 1767225602.123456, 1767225603.123456


def container(status: str, *, index: int = 0, **state: Any) -> dict[str, Any]:
    own = {"tendril.site": "s", "tendril.edge": "e", "tendril.attempt": "a", "tendril.index": str(index)}
    times = {"StartedAt": STARTED, "FinishedAt": FINISHED}
    return {
        "Created": CREATED,
        "Config": {"Labels": own},
        "State": {"Status": status, "ExitCode": 0, "Error": "", "OOMKilled": False, **times, **state},
    }


def test_a_container_that_was_only_made_is_no_started_step() -> None:
    assert step_state(container("created", StartedAt=NEVER, FinishedAt=NEVER)) is None


def test_a_container_that_the_engine_could_not_start_has_ended() -> None:
    state = step_state(container("created", ExitCode=127, Error="no such file", StartedAt=NEVER, FinishedAt=NEVER))
    assert state is not None
    assert (state.phase, state.exit_code, state.reason, state.message) == ("exited", 127, CANNOT_START, "no such file")


@pytest.mark.parametrize(
    ("one", "meaning"),
    [
        (container("running"), StepState("running", STARTED_S)),
        (container("paused"), StepState("running", STARTED_S)),
        (container("exited", ExitCode=3), StepState("exited", STARTED_S, FINISHED_S, 3)),
        (
            container("exited", ExitCode=137, OOMKilled=True),
            StepState("exited", STARTED_S, FINISHED_S, 137, OOM_KILLED, OOM),
        ),
        (container("exited", OOMKilled=True), StepState("exited", STARTED_S, FINISHED_S, 0)),
        (container("dead"), StepState("vanished", STARTED_S, message="its container is dead")),
    ],
)
def test_a_state_has_one_meaning(one: dict[str, Any], meaning: StepState) -> None:
    assert step_state(one) == meaning


def test_a_command_that_init_cannot_run_did_not_start() -> None:
    error = init_error_in("before\n[FATAL tini (7)] exec /no failed: No such file or directory\n")
    state = step_state(container("exited", ExitCode=127), error)
    assert state is not None
    assert (state.reason, state.message) == (CANNOT_START, error)
    assert init_error_in("sh: nothing: not found\n") == ""


def test_a_shell_that_the_image_does_not_have_is_its_own_reason() -> None:
    one = container("exited", ExitCode=127)
    one["Config"]["Labels"]["tendril.shell"] = "/bin/zsh"
    state = step_state(one, "[FATAL tini (7)] exec /bin/zsh failed: No such file or directory\n")
    assert state is not None
    assert (state.reason, state.message) == (SHELL_MISSING, "no shell /bin/zsh in the image")
    own = step_state(one, "sh: nothing: not found\n")
    assert own is not None
    assert own.reason == ""


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"ExitCode": 2}, PIDS_EXHAUSTED),
        ({"ExitCode": 0}, ""),
        ({"ExitCode": 137, "OOMKilled": True}, OOM_KILLED),
    ],
)
def test_a_step_that_failed_may_say_why(state: dict[str, Any], reason: str) -> None:
    found = step_state(container("exited", **state), "sh: can't fork: Resource temporarily unavailable\n")
    assert found is not None
    assert found.reason == reason


def test_what_ended_on_a_full_disk_may_have_said_more_and_failed_for_that() -> None:
    ends = (
        StepState("exited", 0.0, 1.0, 0),
        StepState("exited", 0.0, 1.0, 137, OOM_KILLED, OOM),
        StepState("exited", 0.0, 1.0, 3, message="as the engine says"),
        StepState("exited", 0.0, 1.0, 1),
        StepState("running", 0.0),
    )
    found = on_a_full_disk(Observed("s", "e", "a", ends)).steps
    assert [step.is_cut for step in found] == [True] * 4 + [False]
    assert [step.reason for step in found] == ["", OOM_KILLED, DISK_FULL, DISK_FULL, ""]
    assert (found[2].message, found[4]) == ("as the engine says", ends[4])
    assert "disk is full" in found[3].message


def test_a_disk_is_full_where_nothing_can_be_written(tmp_path: Path) -> None:
    assert is_full(Path("/proc"))
    assert not is_full(tmp_path)
    assert not is_full(tmp_path / "on another host")


def test_steps_come_in_order_and_a_hole_is_a_step_that_vanished() -> None:
    found = observed("a", [(container("running", index=2), ""), (container("exited"), "")])
    assert found is not None
    assert [step.phase for step in found.steps] == ["exited", "vanished", "running"]
    assert observed("a", []) is None


def test_limits_of_zero_are_none() -> None:
    work = Work("s", "e", "a", (Step("step", "image"),), {})
    assert not {"nano_cpus", "mem_limit", "memswap_limit"} & host_options(work, 0, Policy()).keys()
    assert container_options(work, 0, Policy(), "")["entrypoint"] is None


def test_the_shared_directory_is_open_to_all() -> None:
    with tarfile.open(fileobj=io.BytesIO(open_to_all())) as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.mode, member.isdir()) == ("../shared", 0o1777, True)


@pytest.mark.parametrize("size", [0, 1, RESULT_LIMIT_BYTES])
def test_a_result_is_read_whole(size: int) -> None:
    assert result_in([_archive(bytes(size))]) == bytes(size)


@pytest.mark.parametrize("size", [RESULT_LIMIT_BYTES + 1, 100 * RESULT_LIMIT_BYTES])
def test_a_result_beyond_the_limit_is_invalid(size: int) -> None:
    with pytest.raises(Invalid):
        result_in([_archive(bytes(size))])


def test_what_is_no_file_is_no_result() -> None:
    assert result_in([_archive(b"", tarfile.SYMTYPE)]) is None


def _archive(content: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("result.json")
        member.size, member.type = len(content), kind
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_secrets_are_in_the_environment_and_a_read_only_mount_and_in_no_label() -> None:
    given = Given(env={"PASSWORD": "s3cr3t"}, files="/dev/shm/tendril-0/x/a/step-0", masked=(b"s3cr3t",))
    work = Work("s", "e", "a", (Step("step", "image", "true"),), {}, given={0: given})
    made, host = container_options(work, 0, Policy(), ""), host_options(work, 0, Policy())
    assert made["environment"]["PASSWORD"] == "s3cr3t"
    assert made["environment"]["SECRETS_DIR"] == "/run/secrets"
    assert "s3cr3t" not in str({name: value for name, value in made.items() if name != "environment"}) + str(host)
    (mount,) = host["mounts"]
    assert (mount["Target"], mount["Source"], mount["ReadOnly"]) == ("/run/secrets", given.files, True)
    assert (host["ulimits"][0].name, host["ulimits"][0].hard) == ("core", 0)
    assert "s3cr3t" not in repr(work)
    assert HostConfig(version="1.44", **host)["Mounts"] == [mount]


def test_a_disk_that_was_full_while_a_step_ran_may_have_cost_it_some_of_its_output() -> None:
    """Also where it has room again when the step ends."""
    shortages = Shortages()
    for attempt, index in (("a", 1), ("a", 2), ("b", 0)):
        shortages.add(attempt, index)
    done = StepState("exited", 1.0, 2.0, 0)
    found = Observed("s", "e", "a", (done, done, StepState("running", 2.0)))
    assert [step.is_cut for step in shortages.told(found).steps] == [False, True, False]
    assert [step.is_cut for step in shortages.told(replace(found, steps=(done,) * 3)).steps] == [False, True, True]
    shortages.forget("a")
    assert shortages.told(found) == found
    assert shortages.told(replace(found, attempt="b")).steps[0].is_cut
