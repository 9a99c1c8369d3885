"""`tendril explain`: why a job is as it is."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.cells import clean
from gateway.commands.client import Client, Document, Url
from gateway.commands.failure import Exit, Failure
from gateway.commands.jobs import job_address, job_of
from gateway.commands.names import Within
from gateway.commands.printing import Format, Output, Table, complain, say, text_of

Job = Annotated[str, Parameter(help="Jobs: NAME, GROUP/NAME, job/GROUP/NAME or a path.")]


AsOf = Annotated[str, Parameter(name="--as-of", help="A position of the log or a time: what was so then.")]


def explain(
    job: Job,
    /,
    *jobs: Job,
    as_of: AsOf = "",
    within: Within = "",
    output: Output = "table",
    url: Url = DEFAULT_URL,
) -> int:
    """Say why jobs are as they are: what their chunks wait for, what goes before them, what would have to change for one to be
    placed, and what has failed."""
    if output == "name":
        raise Failure("-o: an explanation has no name", "say table, json or yaml")
    with Client(url) as client:
        code = Exit.FINE
        told: list[tuple[str, Document]] = []
        for found in [job_of(client, word, within) for word in (job, *jobs)]:
            try:
                answer = client.get(
                    f"{job_address(found)}/explain", {"asOf": as_of} if as_of else None, step=found.step
                )
                told.append((found.title, answer))
            except Failure as failure:
                if failure.ends_all:
                    raise
                complain(failure)
                code = code or failure.code
    _print(told, output, single=not jobs)
    return code


def _print(told: Sequence[tuple[str, Document]], output: Format, *, single: bool) -> None:
    documents = [document for _, document in told]
    if output != "table" and documents:
        say(text_of(documents[0] if single else {"items": documents}, output))
    for number, (title, document) in enumerate(told if output == "table" else ()):
        if number:
            say()
        for line in lines_of(title, document):
            say(line)


def lines_of(title: str, told: Document) -> Iterator[str]:
    """The explanation, for people."""
    yield clean(f"{title}: {told['summary']}")
    if told["edges"]:
        rows = [["EDGES", "REASON", "AS"]]
        rows += [[str(some["edges"]), some["reason"], f"{some['example']} {some['message']}"] for some in told["edges"]]
        yield from _table(rows)
    yield from (clean(f"  {line}") for line in _queue_lines(told))
    if told["unheard"]:
        rows = [["EDGE", "PHASE", "CHUNKS", "SINCE"]]
        rows += [
            [f"{edge['site']}/{edge['edge']}", edge["phase"], str(edge["chunks"]), edge["since"]]
            for edge in told["unheard"]
        ]
        yield from _table(rows)
    if told.get("placed"):
        rows = [["CHUNK", "PLACED ON", "SINCE", "WHY"]]
        rows += [
            [str(chunk["index"]), f"{chunk['site']}/{chunk['edge']}", chunk["since"], chunk["why"]]
            for chunk in told["placed"]
        ]
        yield from _table(rows)
    if told["failures"]:
        rows = [["CHUNK", "FAILED", "GOES ON", "EDGE", "REASON", "MESSAGE"]]
        rows += [
            [
                named_chunk(chunk["index"], chunk["arrayIndex"]),
                str(chunk["failures"]),
                chunk.get("againAt") or ("yes" if chunk["goesOn"] else "no"),
                f"{chunk['site']}/{chunk['edge']}",
                chunk["reason"],
                chunk["message"],
            ]
            for chunk in told["failures"]
        ]
        yield from _table(rows)


def named_chunk(index: int, array_index: int | None) -> str:
    """A chunk for people, with its own index in the set that its job names."""
    return str(index) if array_index is None else f"{index} [{array_index}]"


def _queue_lines(told: Document) -> Iterator[str]:
    """What goes before it, what would have to change, and when it may start; a gateway of before that says none of it."""
    if queue := told.get("queue"):
        least = "at least " if queue["atLeast"] else ""
        yield (
            f"before it: {least}{queue['chunks']} chunks of {queue['jobs']} jobs,"
            f" of its group {queue['groupChunks']} of {queue['groupJobs']}"
        )
    if told.get("changes"):
        yield f"it would take: {'; '.join(change['message'] for change in told['changes'])}"
    if start := told.get("start"):
        yield f"start: {start['at'] or 'not known'} ({start['basis']})"


def _table(rows: list[list[str]]) -> Iterator[str]:
    yield from (f"  {line}" for line in Table().lines([[clean(cell) for cell in row] for row in rows]))
