"""What every program does at its start: read its settings once, set its log and its garbage collector up."""

import contextlib
import gc
import logging
import os
import resource
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from datamodel.errors import Invalid, TendrilError
from datamodel.parts import message_of

S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S], **told: Any) -> S:
    """The settings from the environment, but for what is `told`. Raises `Invalid` naming every variable that is missing or
    wrong."""
    try:
        return kind(**told)
    except ValidationError as error:
        details = tuple((_variable(kind, *found["loc"][:1]), message_of(found)) for found in error.errors())
        listed = "; ".join(": ".join(filter(None, detail)) for detail in details)
        raise Invalid(f"the environment is not right: {listed}", field=details[0][0], details=details) from error


def _variable(kind: type[BaseSettings], field: int | str = "") -> str:
    """The variable that an error is about, as a field or by its alias; none where it is about several."""
    info = kind.model_fields.get(str(field))
    if info is None:
        return str(field)
    alias = info.validation_alias
    return alias if isinstance(alias, str) else f"{kind.model_config.get('env_prefix', '')}{field}".upper()


def database_url() -> str:
    """That of `TENDRIL_DATABASE_URL`. Raises `Invalid` where it is not set: the driver would take some database."""
    url = os.environ.get("TENDRIL_DATABASE_URL", "")
    if not url:
        says = (
            "TENDRIL_DATABASE_URL is not set; what `tendril up` runs has it in its run/environment, to be read with `.`"
        )
        raise Invalid(says, field="TENDRIL_DATABASE_URL")
    return url


def configure_logging() -> None:
    """Lines of JSON on standard error, from level INFO on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def run_program(name: str, program: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Runs a program to its end; the exit code. A failure that we know is one sentence on standard error."""
    configure_logging()
    calm_collector()
    forbid_dumps()
    try:
        uvloop.run(program())
    except TendrilError as error:
        sys.stderr.write(f"{name}: {error.message}\n")
        return 1
    return 0


def forbid_dumps() -> None:
    """A crash leaves nothing of this process' memory behind, where secrets may be: no core file, and none of its own pages for
    a program that the kernel pipes dumps to (core(5)). What it starts inherits both."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    with contextlib.suppress(OSError):  # a kernel without core dumps
        Path("/proc/self/coredump_filter").write_text("0", encoding="ascii")


def open_many_files() -> None:
    """Lets this process have as many files and connections open at a time as it may ask for: the soft limit, which most systems
    set to 1,024 for the sake of `select`, becomes the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def calm_collector() -> None:
    """Lets the garbage collector leave what was loaded at the start alone, and look at the rest less often.

    The programs make many short-lived objects and hardly any cycles; with the defaults a tenth to a third of an append's time
    was spent looking for some. Events, nodes, commands and their like it never looks at (`gc=False`): they hold documents, and
    nothing that leads back to them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
