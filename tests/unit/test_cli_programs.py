"""The front door: commands become programs."""

import os
import subprocess
import sys

import pytest


def tendril(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line, with nothing that the environment could tell a program."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TENDRIL_", "EDGE_"))}
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


def test_a_program_of_several_commands_runs_the_one_that_is_named() -> None:
    done = tendril("restore", "/nowhere/backup.jsonl.gz")
    assert done.returncode == 2
    assert done.stderr == "restore: /nowhere/backup.jsonl.gz cannot be read: No such file or directory\n"


def test_a_command_that_is_none_is_refused() -> None:
    done = tendril("dance")
    assert done.returncode != 0
    assert "dance" in done.stdout + done.stderr
