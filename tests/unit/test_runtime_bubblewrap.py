"""What bubblewrap is told, and what it tells."""

import itertools
import os
from pathlib import Path

import pytest

from agents.runtimes.process.bubblewrap import Entry, Sandbox, StatusPipe, failure, sandboxed, status_of
from agents.runtimes.process.isolation import hidden_from, not_isolated

ENTRIES = [Entry(name) for name in ("dev", "etc", "home", "proc", "root", "run", "tmp", "usr", "var")]
LINKS = [Entry("bin", "usr/bin"), Entry("lib", "usr/lib")]


def command(*hidden: str, status: int | None = None) -> list[str]:
    sandbox = Sandbox("/usr/bin/bwrap", hidden)
    return sandboxed(sandbox, ["/bin/sh", "-c", "x"], shared="/s", entries=[*ENTRIES, *LINKS], status=status)


def options(command: list[str], name: str) -> list[str]:
    """The argument after each option of this name."""
    return [value for option, value in itertools.pairwise(command) if option == name]


def test_the_step_comes_last_after_the_end_of_the_options() -> None:
    assert command()[-4:] == ["--", "/bin/sh", "-c", "x"]
    assert command()[0] == "/usr/bin/bwrap"


def test_everything_is_unshared_and_dies_with_what_stands_over_it() -> None:
    assert {"--unshare-all", "--unshare-user", "--new-session", "--die-with-parent"} <= set(command())
    assert "--share-net" not in command()


def test_of_the_host_only_the_shared_directory_can_be_written() -> None:
    assert options(command(), "--bind") == ["/s"]
    assert options(command(), "--ro-bind") == ["/etc", "/usr", "/var"]
    assert options(command(), "--dev-bind") == []
    assert options(command(), "--remount-ro") == ["/dev", "/"]


def test_links_stay_links() -> None:
    assert options(command(), "--symlink") == ["usr/bin", "usr/lib"]


def test_what_is_private_is_empty_and_bounded() -> None:
    told = command("/var/tmp", "/srv/edge")
    assert options(told, "--tmpfs") == ["/tmp", "/run", "/home", "/root", "/var/tmp", "/srv/edge", "/dev/shm"]
    assert len(options(told, "--size")) == len(options(told, "--tmpfs"))


def test_what_lies_in_a_private_directory_is_hidden_already() -> None:
    assert "/home/me/.tendril" not in command("/home/me/.tendril", "/tmp/x", "/homes")
    assert "/homes" in command("/home/me/.tendril", "/homes")


def test_a_status_is_read_as_far_as_it_was_written() -> None:
    first, last = b'{ "child-pid": 42, "net-namespace": 7 }\n', b'{ "exit-code": 1 }\n'
    assert status_of(b"") == (None, False)
    assert status_of(first[:-1]) == (None, False)
    assert status_of(first) == (42, False)
    assert status_of(first + last) == (42, True)


def test_a_status_that_comes_in_parts_is_put_together() -> None:
    pipe = StatusPipe()
    assert pipe.read() == (None, False)
    with os.fdopen(pipe.given, "wb", buffering=0) as given:
        given.write(b'{ "child-pid"')
        assert pipe.read() == (None, False)
        given.write(b": 42 }\n")
        assert pipe.read() == (42, False)
    assert pipe.read() == (42, False)


@pytest.mark.parametrize(
    ("stderr", "code", "message"),
    [
        (b"bwrap: execvp /no: No such file or directory\n", 127, "bwrap: execvp /no: No such file or directory"),
        (b"bwrap: execvp /etc: Permission denied\n", 126, "bwrap: execvp /etc: Permission denied"),
        (b"bwrap: Can't find source path /x: No such file or directory\n", 126, None),
        (b"", 126, "bwrap did not say why"),
    ],
)
def test_why_a_step_could_not_be_run_is_what_bwrap_wrote(stderr: bytes, code: int, message: str | None) -> None:
    assert failure(stderr) == (code, message or stderr.decode().strip())


def test_what_is_not_isolated_is_said() -> None:
    assert not_isolated(sandboxed=True, limited=True) == ("image",)
    assert "network" in not_isolated(sandboxed=False, limited=True)
    assert "cpu, memory and process limits" in not_isolated(sandboxed=True, limited=False)


def test_only_a_step_of_the_agents_own_user_could_read_its_files(tmp_path: Path) -> None:
    assert str(tmp_path) in hidden_from(None, tmp_path)
    assert str(tmp_path) not in hidden_from((65534, 65534), tmp_path)
    assert str(tmp_path / "missing") not in hidden_from(None, tmp_path / "missing")
