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
}
"""By command: the module that is run, and what the help says of it. By name, since the programs do not know each other."""


def _command(module: str, summary: str) -> App:
    app = App(help=summary, help_flags=[], version_flags=[])

    @app.default
    def start(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own module, no shell

    return app


def main() -> None:
    """Starts the program that the command line names."""
    app = App(name="tendril", help="A typed graph of intent and fact, and what makes the fact follow the intent.")
    for name, (module, summary) in _PROGRAMS.items():
        app.command(_command(module, summary), name=name)
    app()
