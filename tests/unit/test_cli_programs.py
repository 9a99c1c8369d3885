"""The front door: commands become programs."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest


def tendril(*arguments: str, **told: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line, with nothing of the environment but `told` that could tell a program."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TENDRIL_", "EDGE_"))
    } | told
    return subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main()", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_help_lists_every_program() -> None:
    done = tendril("--help")
    assert done.returncode == 0
    for command in (
        "up",
        "gateway",
        "reconcilers",
        "agent",
        "sim",
        "migrate",
        "verify",
        "backup",
        "restore",
        "rebuild",
        "compact",
    ):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize(("command", "program"), [("gateway", "gateway"), ("migrate", "migrations")])
def test_a_command_runs_its_program(command: str, program: str) -> None:
    done = tendril(command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{program}: ")
    assert "TENDRIL_DATABASE_URL" in done.stderr or "database URL" in done.stderr


def test_options_go_to_the_program() -> None:
    assert "--watch" in tendril("verify", "--help").stdout
    done = tendril("verify", "--watch", "--every", "0")
    assert done.returncode != 0
    assert "--every" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["up", "gateway", "reconcilers", "agent", "migrate"])
def test_what_takes_no_arguments_starts_with_none(command: str) -> None:
    for flag in ("--help", "-h"):
        helped = tendril(command, flag)
        assert (helped.returncode, helped.stderr) == (0, "")
        assert helped.stdout.startswith(f"Usage: tendril {command}")
        assert "README.md" in helped.stdout
    for wrong in ("--port=9", "now"):
        refused = tendril(command, wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert wrong.partition("=")[0] in refused.stderr
        assert refused.stderr.endswith(f"`tendril {command} --help` says how\n")
        assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["backup", "restore", "rebuild", "compact", "verify", "secrets", "sim"])
def test_the_help_of_a_program_calls_it_as_it_is_called(command: str) -> None:
    assert tendril(command, "--help").stdout.startswith(f"Usage: tendril {command}")


def test_a_program_of_several_commands_runs_the_one_that_is_named() -> None:
    done = tendril("restore", "/nowhere/backup.jsonl.gz")
    assert done.returncode == 2
    assert done.stderr == "restore: /nowhere/backup.jsonl.gz cannot be read: No such file or directory\n"


def test_a_command_that_is_none_is_refused() -> None:
    for command, told in (
        ("xyzzy", "there is no command 'xyzzy'; `tendril --help` lists what there is"),
        ("patch", "there is no command 'patch'; did you mean `tendril apply`? `tendril --help` lists what there is"),
        ("aply", "there is no command 'aply'; did you mean `tendril apply`? `tendril --help` lists what there is"),
    ):
        done = tendril(command)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"tendril: {told}\n")


def test_the_version_is_told() -> None:
    assert tendril("--version").stdout == f"{version('tendril')}\n"


def test_commands_ask_at_the_port_that_a_system_was_started_with() -> None:
    for told, asked in (
        ({"TENDRIL_PORT": "1"}, "http://127.0.0.1:1"),
        ({"TENDRIL_PORT": "1", "TENDRIL_URL": "http://127.0.0.1:2"}, "http://127.0.0.1:2"),
    ):
        done = tendril("kinds", **told)
        assert done.returncode
        assert f"the API at {asked} does not answer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told", "says"),
    [
        (("verify",), {"TENDRIL_DATABASE_URL": "nonsense"}, "verify: the database URL is not right: invalid DSN"),
        (
            ("migrate",),
            {"TENDRIL_DATABASE_URL": "postgresql://x@127.0.0.1:1/x"},
            "migrations: connect: the database did",
        ),
        (("migrate",), {"TENDRIL_DATABASE_URL": "postgresql://x@127.0.0.1:99999/x"}, "migrations: the database URL is"),
        (("migrate",), {}, "migrations: TENDRIL_DATABASE_URL is not set; "),
        (("verify",), {}, "verify: TENDRIL_DATABASE_URL is not set; "),
        (("backup", "x"), {}, "backup: TENDRIL_DATABASE_URL is not set; "),
        (
            ("compact", "--before", "1y"),
            {"TENDRIL_DATABASE_URL": "x"},
            "compact: --before: '1y' is neither a position nor",
        ),
        (("up",), {"TENDRIL_EDGES": "-1"}, "tendril up: the environment is not right: TENDRIL_EDGES: Input should be"),
        (
            ("sim",),
            {"JOB_MINPOWER": "50", "JOB_MAXPOWER": "5"},
            "sim: the environment is not right: JOB_MINPOWER is above",
        ),
        (("sim", "--pending", "-1"), {}, "sim: the environment is not right: JOB_PENDING: Input should be"),
        (
            ("reconcilers",),
            {"TENDRIL_DATABASE_URL": "x", "TENDRIL_NATS_URL": "x", "TENDRIL_CALLBACKS_PORTS": "a-b"},
            "reconcilers: the environment is not right: TENDRIL_CALLBACKS_PORTS: 'a-b' is no port and no range of them",
        ),
        (("edge", "enroll", "attic"), {}, "edge: 'attic' does not say where it is; write it as SITE/AGENT"),
        (("edge", "enroll", "a/b", "--out", "/etc/passwd/x"), {}, "edge: /etc/passwd"),
        (("edge", "token", "a", "--out", "/etc"), {}, "edge: /etc: Is a directory"),
        (("up",), {"TENDRIL_HOME": "/etc/passwd"}, "tendril up: TENDRIL_HOME: /etc/passwd cannot be made: File exists"),
        (
            ("agent",),
            {"EDGE_HOME": "/etc/passwd/x", "EDGE_NAME": "e", "TENDRIL_NATS_URL": "nats://127.0.0.1:1"},
            "agent: /etc/passwd/x cannot be made: Not a directory",
        ),
    ],
)
def test_what_a_program_cannot_work_with_is_said_in_a_sentence(
    arguments: tuple[str, ...], told: dict[str, str], says: str
) -> None:
    done = tendril(*arguments, **told)
    assert done.returncode
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1
