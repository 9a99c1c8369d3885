"""`tendril abort`, `suspend`, `resume` and `retry`: what jobs are asked that are there."""

from collections.abc import Callable, Iterator
from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.asking import ask_each
from gateway.commands.client import Client, Document, Url
from gateway.commands.failure import Exit, Failure
from gateway.commands.jobs import JOBS, job_address, job_kind, job_of
from gateway.commands.kinds import kinds_of
from gateway.commands.names import Within
from gateway.commands.printing import complain, remark, say
from gateway.commands.selection import WHOLE, Selection

Jobs = Annotated[str, Parameter(help="Jobs: NAME, GROUP/NAME, job/GROUP/NAME or a path; none, to select them.")]
Everything = Annotated[bool, Parameter(name="--all", negative="", help="Every job, where nothing selects.")]
_DONE = {
    "abort": "is being aborted",
    "suspend": "is being suspended",
    "resume": "goes on",
    "retry": "is tried again",
}


def _command(verb: str, summary: str) -> Callable[..., int]:
    def ask(
        *jobs: Jobs,
        selection: Selection = WHOLE,
        within: Within = "",
        everything: Everything = False,
        url: Url = DEFAULT_URL,
    ) -> int:
        return _ask(verb, jobs, selection, within, everything=everything, url=url)

    ask.__doc__ = summary
    return ask


def _ask(verb: str, jobs: tuple[str, ...], selection: Selection, within: str, *, everything: bool, url: str) -> int:
    if jobs and (everything or selection.parameters):
        raise Failure("jobs are named, or they are selected", "leave out the one or the other")
    if not (jobs or within or everything or selection.parameters):
        raise Failure(
            "which jobs is not said", "name them, or select them by -g, -l, --field-selector, --phase or --all"
        )
    with Client(url) as client:
        return _ask_named(client, verb, jobs, within) if jobs else _ask_all(client, verb, selection, within, everything)


def _ask_named(client: Client, verb: str, words: tuple[str, ...], within: str) -> int:
    jobs = [job_of(client, word, within) for word in words]
    return ask_each(client, [(job, f"{job_address(job)}/{verb}") for job in jobs], _DONE[verb])


def _ask_all(client: Client, verb: str, selection: Selection, within: str, everything: bool) -> int:  # noqa: FBT001 - passed on
    parameters = selection.parameters | ({"group": within} if within else {}) | ({"all": "true"} if everything else {})
    kind, code, any_ = job_kind(kinds_of(client)), Exit.FINE, False
    for done in _pages(client, f"{JOBS}:{verb}", parameters):
        any_ = True
        if done["outcome"] == "refused":
            complain(Failure(done["detail"], code=Exit.CONFLICT))
            code = Exit.CONFLICT
        else:
            say(f"{kind.titled(done['path'])} {_DONE[verb]}")
    if not any_:
        remark(f"no {kind.plural} found")
    return code


def _pages(client: Client, address: str, parameters: dict[str, str]) -> Iterator[Document]:
    cursor = ""
    while True:
        asked = {**parameters, **({"cursor": cursor} if cursor else {})}
        answer = client.write("POST", address, parameters=asked).json()
        yield from answer["items"]
        cursor = answer["cursor"]
        if not cursor:
            return


abort = _command("abort", "End what is left of jobs, for good.")
suspend = _command("suspend", "Stop what runs of jobs, and begin nothing, until they are resumed.")
resume = _command("resume", "Let suspended jobs go on.")
retry = _command("retry", "Try the chunks of failed jobs again that have not succeeded.")
