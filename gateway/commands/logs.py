"""`tendril logs`: what a chunk of a job wrote, and what it writes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Document, Url
from gateway.commands.conditions import has_ended
from gateway.commands.failure import Exit
from gateway.commands.jobs import job_address, job_of
from gateway.commands.names import Target, Within
from gateway.commands.printing import say
from gateway.commands.streams import resumed

_MISSING = {
    "limit": "[{size} were more than a log holds]",
    "expired": "[{size} are not kept any more]",
    "notReceived": "[the rest has not been received]",
}
_STEP = "`tendril describe` says what there is, and --follow waits for a chunk"


def logs(
    job: Annotated[str, Parameter(help="A job: NAME, GROUP/NAME, job/GROUP/NAME or a path.")],
    /,
    *,
    chunk: Annotated[int | None, Parameter(help="Of which chunk; a job with one needs none.")] = None,
    step: Annotated[str, Parameter(help="Of this step only.")] = "",
    stream: Annotated[Literal["stdout", "stderr"] | None, Parameter(help="Of this stream only.")] = None,
    tail: Annotated[int | None, Parameter(help="Only the last so many lines of what there is.")] = None,
    epoch: Annotated[int | None, Parameter(help="Of which try at the chunk; else, the newest.")] = None,
    attempt: Annotated[str, Parameter(help="Of an attempt by its name, instead of a chunk and an epoch.")] = "",
    follow: Annotated[
        bool, Parameter(name=["--follow", "-f"], negative="", help="And what comes, to its end.")
    ] = False,
    within: Within = "",
    url: Url = DEFAULT_URL,
) -> int:
    """Print what a chunk of a job wrote."""
    asked = {
        "chunk": chunk,
        "step": step or None,
        "stream": stream,
        "tail": tail,
        "epoch": epoch,
        "attempt": attempt or None,
    }
    parameters = {name: str(value) for name, value in asked.items() if value is not None}
    with Client(url) as client:
        found = job_of(client, job, within)
        if follow:
            for text in followed(client, found, parameters):
                say(text, end="")
        else:
            answer = client.request("GET", f"{job_address(found)}/logs", parameters=parameters, step=_STEP)
            say(answer.text, end="")  # steps write what they like: it is passed on as it is
    return Exit.FINE


def followed(client: Client, job: Target, parameters: Mapping[str, str]) -> Iterator[str]:
    """What comes of a chunk's log until its attempt has ended, whatever happens to the connection."""
    silent, ended = True, False
    for event in resumed(client, f"{job_address(job)}/logs", {**parameters, "follow": "true"}):
        if event is None:
            # Of a chunk that was never placed nothing comes, and once its job has ended nothing will.
            if silent and ended:
                return
            ended = _has_finished(client, job)
            continue
        silent = False
        match event.name:
            case "line":
                yield event.data["text"]
            case "truncated":
                yield told_missing(event.data)
            case "end":
                return


def told_missing(missing: Document) -> str:
    """What is said in the place of what is not there."""
    size = f"{missing['bytes']} bytes" if missing["bytes"] is not None else "bytes that nobody counted"
    return _MISSING[missing["truncated"]].format(size=size) + "\n"


def _has_finished(client: Client, job: Target) -> bool:
    node = client.find(job.path)
    return node is None or has_ended(node, job.kind.finished)
