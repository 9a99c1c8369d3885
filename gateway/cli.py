"""The front door: `tendril PROGRAM` starts a program in the place of this process, and `tendril VERB` asks the API."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, TextIO

from cyclopts import App, CycloptsError, Parameter

from gateway.commands.failure import Exit, Failure

_SILENT_PROGRAMS = {
    "up": ("deploy.local", "Start everything on this machine; Ctrl-C stops it."),
    "gateway": ("gateway", "Serve the API."),
    "reconcilers": ("reconcilers", "Run all reconcilers."),
    "agent": ("agents", "Run an agent that hosts one edge or a group."),
    "migrate": ("migrations", "Bring the database to this version's schema."),
}
"""By command: the module that is run, and what the help says of it. They take no arguments."""

_PROGRAMS = {
    "sim": ("sim", "Request random jobs from a running system."),
    "verify": ("datamodel", "Check that what is stored is the fold of the log; with --watch, go on checking."),
    "backup": ("datamodel.keeping backup", "Write everything into a file, while the system runs."),
    "restore": ("datamodel.keeping restore", "Put a backup into a new database, and verify it."),
    "rebuild": ("datamodel.keeping rebuild", "Make the projection anew from the log, while the system runs."),
    "agents": ("deploy.local.agents", "Have more or fewer agents of a system that is up on this machine."),
    "secrets": ("datamodel.secrets", "Make the keys of secrets, and seal anew after a new one."),
    "edge": ("gateway.enrolling", "Make agents known by the API: enroll one, make what lets them join, revoke."),
    "compact": ("datamodel.keeping compact", "Drop the log's segments before a moment, while the system runs."),
}
"""The same of those that read their arguments themselves; with the module, its own command where it has several. By name, since
the programs do not know each other."""

_SYNONYMS = {
    **dict.fromkeys(("create", "edit", "patch", "put", "replace", "update"), "apply"),
    **dict.fromkeys(("list", "ls", "show"), "get"),
    **dict.fromkeys(("events", "history", "inspect", "status"), "describe"),
    **dict.fromkeys(("cancel", "kill", "stop"), "abort"),
    **dict.fromkeys(("remove", "rm"), "delete"),
    "run": "submit",
    "start": "up",
    "why": "explain",
}
"""What others call a command, by what it is called here."""

_VERBS = {
    "get": ("get:get", "List nodes of a kind, or show those that are named."),
    "describe": ("describe:describe", "Show all that is known of nodes."),
    "kinds": ("get:list_kinds", "List the kinds that there are."),
    "apply": ("apply:apply", "Create nodes, or make those that are there as files say."),
    "diff": ("apply:diff", "Show what apply would change."),
    "delete": ("delete:delete", "Delete nodes with everything below them."),
    "submit": ("submit:submit", "Submit jobs from a file."),
    "explain": ("explain:explain", "Say why jobs are as they are."),
    "abort": ("verbs:abort", "End what is left of jobs, for good."),
    "suspend": ("verbs:suspend", "Stop what runs of jobs, and begin nothing, until they are resumed."),
    "resume": ("verbs:resume", "Let suspended jobs go on."),
    "retry": ("verbs:retry", "Try the chunks of failed jobs again that have not succeeded."),
    "cordon": ("edges:cordon", "Place nothing new on edges; what runs there goes on."),
    "drain": ("edges:drain", "Place nothing new on edges, and let what runs there go elsewhere."),
    "uncordon": ("edges:uncordon", "Use edges again."),
    "lost": ("edges:lost", "Do not wait any longer for edges that are not heard from."),
    "off": ("edges:off", "Say that the hosts of edges are off: nothing runs there any more."),
    "adopt": ("edges:adopt", "Take the result of an attempt that was replaced for its chunk's."),
    "wait": ("wait:wait", "Wait until nodes are as they are wanted."),
    "logs": ("logs:logs", "Print what a chunk of a job wrote."),
    "watch": ("watch:watch", "Print what there is, and then what changes."),
}
"""By command: the function in `gateway.commands`, which is imported when it is called, and what the help says of it."""

_GROUP = "Programs, and what operators do"
_VARIABLES = "Variables of the environment say how: README.md has them under `Running the programs by themselves`."


def _program(program: str, summary: str) -> App:
    app = App(help=summary, help_flags=[], version_flags=[], group=_GROUP)

    @app.default
    def start(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
        _become(program, arguments)

    return app


def _silent_program(program: str, summary: str) -> App:
    app = App(help=f"{summary}\n\n{_VARIABLES}", version_flags=[], group=_GROUP)

    @app.default
    def start() -> None:
        _become(program)

    return app


def _become(program: str, arguments: Sequence[str] = ()) -> None:
    os.execv(sys.executable, [sys.executable, "-m", *program.split(), *arguments])  # noqa: S606 - our own module, no shell


def main() -> None:
    """Does what the command line says, and ends the process with the exit code of it."""
    _open_what_is_closed()
    sys.exit(run(sys.argv[1:]))


def _open_what_is_closed() -> None:
    """A stream that was closed before the start is None here. What is read is empty then, what is printed cannot be, and
    what is said beside it goes nowhere, since there is no place to say so."""
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), "r")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def run(arguments: Sequence[str]) -> int:
    """Does what the command line says. The exit code; what is wrong is told in one line on stderr."""
    app = App(
        name="tendril",
        version=_version,
        help="A typed graph of intent and fact, and what makes the fact follow the intent.",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for programs, made in ((_SILENT_PROGRAMS, _silent_program), (_PROGRAMS, _program)):
        for name, (program, summary) in programs.items():
            app.command(made(program, summary), name=name)
    for name, (verb, summary) in _VERBS.items():
        app.command(f"gateway.commands.{verb}", name=name, help=summary, group="What goes through the API")
    try:
        _check_command(arguments)
        code: int = app(list(arguments)) or Exit.FINE
        sys.stdout.flush()
    except CycloptsError as error:
        return _refused(Failure(" ".join(str(error).split()), f"`tendril {_verb(arguments)}--help` says how"))
    except Failure as failure:
        return _refused(failure)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # rich ends the process, with 1
            return _unread()
        raise
    except UnicodeEncodeError as error:
        letters = ascii(error.object[error.start : error.end])
        return _refused(Failure(f"{letters} cannot be printed in {error.encoding}", "set PYTHONIOENCODING=utf-8"))
    except OSError as error:  # all but the printing says itself what is wrong
        _drop(sys.stdout)
        return _refused(Failure(f"the output cannot be written: {error.strerror}"))
    return code


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - nobody else needs it

    return version("tendril")


def _check_command(arguments: Sequence[str]) -> None:
    known = (*_VERBS, *_PROGRAMS, *_SILENT_PROGRAMS)
    if not arguments or arguments[0].startswith("-") or arguments[0] in known:
        return
    from difflib import get_close_matches  # noqa: PLC0415 - nobody else needs it

    synonym = _SYNONYMS.get(arguments[0])
    close = [synonym] if synonym else get_close_matches(arguments[0], known, n=1)
    hint = f"did you mean `tendril {close[0]}`? " if close else ""
    raise Failure(f"there is no command {arguments[0]!r}", f"{hint}`tendril --help` lists what there is")


def _unread() -> int:
    _drop(sys.stdout)
    return Exit.READER_GONE


def _drop(stream: TextIO) -> None:
    """So that the last flush does not fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _verb(arguments: Sequence[str]) -> str:
    return f"{arguments[0]} " if arguments and arguments[0] in {**_VERBS, **_SILENT_PROGRAMS} else ""


def _refused(failure: Failure) -> int:
    try:
        sys.stderr.write(f"tendril: {failure.sentence}\n")
        sys.stderr.flush()
    except OSError:  # then the exit code has to say it
        _drop(sys.stderr)
    return failure.code
