"""The front door: `tendril PROGRAM` starts a program in the place of this process."""

import os
import sys
from typing import Annotated

from cyclopts import App, Parameter

_PROGRAMS = {
    "up": ("deploy.local", "Start everything on this machine; Ctrl-C stops it."),
    "gateway": ("gateway", "Serve the API."),
    "reconcilers": ("reconcilers", "Run all reconcilers."),
    "agent": ("agents", "Run an agent that hosts one edge or a group."),
    "sim": ("sim", "Request random jobs from a running system."),
    "migrate": ("migrations", "Bring the database to this version's schema."),
    "verify": ("datamodel", "Check that what is stored is the fold of the log; with --watch, go on checking."),
    "backup": ("datamodel.keeping backup", "Write everything into a file, while the system runs."),
    "restore": ("datamodel.keeping restore", "Put a backup into a new database, and verify it."),
    "rebuild": ("datamodel.keeping rebuild", "Make the projection anew from the log, while the system runs."),
    "secrets": ("datamodel.secrets", "Make the keys of secrets, and seal anew after a new one."),
    "compact": ("datamodel.keeping compact", "Drop the log's segments before a moment, while the system runs."),
}
"""By command: the module that is run (and its own command, where it has several), and what the help says of it. By name, since
the programs do not know each other."""


def _command(program: str, summary: str) -> App:
    app = App(help=summary, help_flags=[], version_flags=[])

    @app.default
    def start(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
        os.execv(sys.executable, [sys.executable, "-m", *program.split(), *arguments])  # noqa: S606 - our own module, no shell

    return app


def main() -> None:
    """Starts the program that the command line names."""
    app = App(name="tendril", help="A typed graph of intent and fact, and what makes the fact follow the intent.")
    for name, (program, summary) in _PROGRAMS.items():
        app.command(_command(program, summary), name=name)
    app()
