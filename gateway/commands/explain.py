"""`tendril explain`: why a job is as it is."""

from collections.abc import Iterator

from gateway.commands.cells import clean
from gateway.commands.client import DEFAULT_URL, Client, Document, Url
from gateway.commands.failure import Exit, Failure
from gateway.commands.jobs import job_address, job_of
from gateway.commands.names import Within
from gateway.commands.printing import Output, Table, say, text_of
from gateway.commands.verbs import Jobs


def explain(job: Jobs, /, *jobs: Jobs, within: Within = "", output: Output = "table", url: Url = DEFAULT_URL) -> int:
    """Say why jobs are as they are: what their chunks wait for, why no edge takes them, and what has failed."""
    if output == "name":
        raise Failure("-o: an explanation has no name", "say table, json or yaml")
    with Client(url) as client:
        for number, word in enumerate((job, *jobs)):
            found = job_of(client, word, within)
            told = client.get(f"{job_address(found)}/explain", step=found.step)
            if number:
                say()
            if output != "table":
                say(text_of(told, output))
                continue
            for line in lines_of(found.title, told):
                say(line)
    return Exit.FINE


def lines_of(title: str, told: Document) -> Iterator[str]:
    """The explanation, for people."""
    yield clean(f"{title}: {told['summary']}")
    if told["edges"]:
        rows = [["EDGES", "REASON", "AS"]]
        rows += [[str(some["edges"]), some["reason"], f"{some['example']} {some['message']}"] for some in told["edges"]]
        yield from _table(rows)
    if told["unheard"]:
        rows = [["EDGE", "PHASE", "CHUNKS", "SINCE"]]
        rows += [
            [f"{edge['site']}/{edge['edge']}", edge["phase"], str(edge["chunks"]), edge["since"]]
            for edge in told["unheard"]
        ]
        yield from _table(rows)
    if told["failures"]:
        rows = [["CHUNK", "FAILED", "GOES ON", "EDGE", "REASON", "MESSAGE"]]
        rows += [
            [
                str(chunk["index"]),
                str(chunk["failures"]),
                chunk.get("againAt") or ("yes" if chunk["goesOn"] else "no"),
                f"{chunk['site']}/{chunk['edge']}",
                chunk["reason"],
                chunk["message"],
            ]
            for chunk in told["failures"]
        ]
        yield from _table(rows)


def _table(rows: list[list[str]]) -> Iterator[str]:
    yield from (f"  {line}" for line in Table().lines([[clean(cell) for cell in row] for row in rows]))
