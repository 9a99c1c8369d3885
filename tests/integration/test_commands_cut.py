"""The command line and an API that breaks off, is busy, forgets, or is another one: answers as a script says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from datamodel.model import Model
from datamodel.scheduling.model import MODEL
from gateway.rest.kinds import described
from tests.commands import lines, running, tendril

PROBLEM = "application/problem+json"


@dataclass
class Script:
    """Answers in their order, each of (status, media type, body); the requests as they came, with the head in lower case."""

    answers: list[tuple[int, str, str]]
    requests: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if "/v1/kinds http" in head:
            status, kind, body = 200, "application/json", _kinds(MODEL)
        else:
            self.requests.append(head)
            status, kind, body = self.answers.pop(0)
        writer.write(f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    def header(self, request: int, name: str) -> str:
        found = [line for line in self.requests[request].split("\r\n") if line.startswith(f"{name}: ")]
        return found[0].partition(": ")[2] if found else ""


@asynccontextmanager
async def scripted(*answers: tuple[int, str, str]) -> AsyncIterator[Script]:
    script = Script(list(answers))
    async with await asyncio.start_server(script.answer, "127.0.0.1", 0) as server:
        script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield script


def _kinds(model: Model) -> str:
    return json.dumps({"items": [described(model, kind) for kind in model.kinds.values()]})


def told(what: str, name: str, version: int) -> str:
    path = f"/config/job-groups/default/jobs/{name}"
    node = {"metadata": {"path": path, "version": version, "uid": name}, "spec": {}, "status": {}}
    return f"event: {what}\ndata: {json.dumps(node)}\n\n"


def mark(number: int) -> str:
    return f'id: {number}-x\nevent: bookmark\ndata: {{"position": {number}}}\n\n'


def stream(*events: str) -> tuple[int, str, str]:
    return 200, "text/event-stream", "".join(events)


def problem(status: int) -> tuple[int, str, str]:
    return status, PROBLEM, json.dumps({"status": status, "detail": "not now"})


async def test_a_watch_goes_on_where_it_was_cut_and_lists_again_where_that_is_gone() -> None:
    gone = f"event: gone\ndata: {json.dumps({'status': 410})}\n\n"
    async with (
        scripted(
            stream(told("added", "a", 1), told("added", "b", 2), mark(2)),
            problem(503),
            stream(told("modified", "a", 3), mark(3), told("modified", "a", 4)),
            stream(told("modified", "a", 4), mark(4), gone),
            stream(told("added", "a", 4), told("added", "c", 9), mark(9)),
            problem(410),
            stream(told("added", "a", 4), mark(10)),
            *[stream(mark(11))] * 100,
        ) as script,
        running(script.url, "watch", "jobs", "-o", "name") as process,
    ):
        expected = ["added a", "added b", "modified a", "modified a", "added c", "deleted b", "deleted c"]
        assert await lines(process, 7) == [line.replace(" ", " job/default/") for line in expected]
        seen = [script.header(request, "last-event-id") for request in range(7)]
        assert seen == ["", "2-x", "2-x", "3-x", "", "9-x", ""]


async def test_a_log_goes_on_behind_the_last_line_and_ends_once() -> None:
    def line(offset: int, text: str) -> str:
        return f"id: 1.{offset}\nevent: line\ndata: {json.dumps({'text': text})}\n\n"

    missing = f"id: 1.90\nevent: truncated\ndata: {json.dumps({'truncated': 'limit', 'bytes': 7})}\n\n"
    end = 'id: 1.95.end\nevent: end\ndata: {"phase": "succeeded"}\n\n'
    running_job = (200, "application/json", json.dumps({"metadata": {}, "status": {"phase": "running"}}))
    async with scripted(stream(line(4, "one\n")), running_job, stream(missing, line(95, "two\n"), end)) as script:
        done = await tendril(script.url, "logs", "j", "-f")
    assert (done.out, done.code) == ("one\n[7 bytes were more than a log holds]\ntwo\n", 0)
    assert script.header(2, "last-event-id") == "1.4"


async def test_who_waits_for_a_chunk_of_a_job_that_has_ended_waits_no_more() -> None:
    ended = (200, "application/json", json.dumps({"metadata": {}, "status": {"phase": "failed"}}))
    async with scripted(stream(), ended, stream()) as script:
        done = await tendril(script.url, "logs", "j", "-f")
    assert (done.out, done.code, script.answers) == ("", 0, [])


async def test_a_write_is_sent_again_as_the_same_one() -> None:
    gone = (204, "text/plain", "")
    async with scripted(problem(503), gone) as script:
        done = await tendril(script.url, "delete", "job", "a")
    assert (done.out, done.code) == ("job/default/a deleted\n", 0)
    first, second = (script.header(request, "idempotency-key") for request in range(2))
    assert first
    assert first == second


async def test_what_is_not_the_api_is_told_from_it() -> None:
    async with scripted((404, "text/html", "<h1>nginx</h1>")) as script:
        done = await tendril(script.url, "get", "job", "a")
    assert done.code == 5
    assert "is not this API: 404 at /v1/config/job-groups/default/jobs/a" in done.err


async def test_a_busy_api_is_asked_four_times() -> None:
    async with scripted(*[problem(503)] * 4) as script:
        done = await tendril(script.url, "get", "job", "a")
    assert (done.code, done.err, script.answers) == (5, "tendril: not now; try again in a moment\n", [])
