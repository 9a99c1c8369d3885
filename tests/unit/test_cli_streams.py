"""Where the arguments, the output or what answers is not as it should be: a sentence, and no traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from datamodel.scheduling.model import MODEL
from gateway.rest.kinds import described

_TENDRIL = f"{sys.executable} -c 'from gateway.cli import main; main()'"
KINDS = json.dumps({"items": [described(MODEL, kind) for kind in MODEL.kinds.values()]})


def shell(
    line: str, url: str = "http://127.0.0.1:9", pass_fds: Sequence[int] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs a line of a shell, which has the command line as `tendril`."""
    script = f'tendril() {{ {_TENDRIL} "$@"; }}\n{line}'
    told = {**os.environ, "TENDRIL_URL": url, **environment}
    return subprocess.run(
        ["bash", "-c", script],
        env=told,
        pass_fds=pass_fds,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )


@contextmanager
def answering(body: str) -> Iterator[str]:
    """The address of something that answers everything with this JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tendril wait job/a --timeout 999999999d", "--timeout: '999999999d' is more than a year"),
        ("tendril get jobs -l $'\\xff'", "'\\udcff' is no text; write it in UTF-8"),
        ("tendril kinds >/dev/full", "the output cannot be written: No space left on device"),
        ("tendril --help >/dev/full", "the output cannot be written: No space left on device"),
        ("tendril kinds >&-", "the output cannot be written: Bad file descriptor"),
        ("tendril --help >&-", "the output cannot be written: Bad file descriptor"),
        ("tendril apply -f - <&-", "there is no document"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(line: str, told: str) -> None:
    with answering(KINDS) as url:
        done = shell(line, url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"tendril: {told}")
    assert done.stderr.count("\n") == 1


def test_without_a_place_for_errors_there_is_the_exit_code() -> None:
    assert shell("tendril get jobs 2>&-").returncode == 5
    assert shell("tendril get jobs 2>/dev/full").returncode == 5
    assert shell("tendril get jobs 2>&-").stdout == ""


def test_what_an_encoding_has_not_is_told() -> None:
    named = KINDS.replace('"description": "', '"description": "\N{GREEK SMALL LETTER ALPHA}')
    with answering(named) as url:
        done = shell("tendril kinds", url, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (
        2,
        "tendril: '\\u03b1' cannot be printed in ascii; set PYTHONIOENCODING=utf-8\n",
    )
    assert shell("tendril --help", PYTHONIOENCODING="ascii").returncode == 0


@pytest.mark.parametrize("body", ['{"args": {}}', '{"items": [{"kind": "x"}]}', '{"items": 5}', "[]", "<html>"])
def test_something_else_that_answers_is_told_from_the_api(body: str) -> None:
    with answering(body) as url:
        done = shell("tendril get jobs", url)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"tendril: what answers at {url} is not this API")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ["--help", "kinds", "get --help", "--version"])
def test_a_reader_that_has_gone_is_no_error(line: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with answering(KINDS) as url:
            done = shell(f"tendril {line} >&{writing}", url, pass_fds=(writing,))
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
