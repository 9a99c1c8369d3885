"""Requests to the API: bounded in time, sent again where that is safe, and their problems as failures."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Self

import httpx
from cyclopts import Parameter

from gateway.address import DEFAULT_URL
from gateway.commands.failure import Exit, Failure

Document = dict[str, Any]

Url = Annotated[str, Parameter(name="--url", env_var="TENDRIL_URL", help="Where the API is.")]
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
SILENCE = httpx.Timeout(25.0, connect=5.0)
"""Of a stream: the API says something every 10 s."""
PAUSES_S = (0.1, 0.3, 0.9)
"""Before a request is sent again. All are safe to send again: they only read, or carry an `Idempotency-Key`."""
URL_STEP = "say where the API is with --url or TENDRIL_URL"
PROBLEM = "application/problem+json"

_CODES = {
    401: Exit.FORBIDDEN,
    403: Exit.FORBIDDEN,
    404: Exit.MISSING,
    405: Exit.FORBIDDEN,
    409: Exit.CONFLICT,
    410: Exit.MISSING,
    412: Exit.CONFLICT,
}
_STEPS = {
    Exit.CONFLICT: "look at what is there with `tendril describe`",
    Exit.UNANSWERED: "try again in a moment",
}
_BUSY = (502, 503, 504)


class Client:
    """The API at an address. Use it as a context. Everything raises `Failure`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise Failure(f"--url: {url!r} is no address of the API", f"give one as {DEFAULT_URL}")
        encrypted = self.url.startswith("https://")  # certificates take 20 ms to load, which nobody else needs
        try:
            self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT, verify=encrypted)
        except (httpx.InvalidURL, ValueError) as error:
            raise Failure(f"--url: {url!r} is no address of the API: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, parameters: Mapping[str, str] | None = None, *, step: str = "") -> Document:
        """The JSON document at an address. `step` is what to do where nothing is there."""
        return self._document(self.request("GET", path, parameters=parameters, step=step))

    def find(self, path: str) -> Document | None:
        """The node at a path, None where there is none."""
        answer = self._send(self._made("GET", f"/v1{path}"))
        return None if answer.status_code == 404 else self._document(self._checked(answer))

    def write(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        parameters: Mapping[str, str] | None = None,
        *,
        step: str = "",
    ) -> httpx.Response:
        """The answer to what changes something, done once however often it has to be sent."""
        # What has parameters is a dry run, or changes nothing where it is asked twice.
        headers = {} if parameters else {"Idempotency-Key": uuid.uuid4().hex}
        return self.request(method, path, body=body, parameters=parameters, headers=headers, step=step)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Document | None = None,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        step: str = "",
    ) -> httpx.Response:
        """The answer, of a status that means success."""
        request = self._made(method, path, params=parameters, json=body, headers=headers)
        return self._checked(self._send(request), step)

    @contextmanager
    def stream(self, path: str, parameters: Mapping[str, str], last_id: str) -> Iterator[httpx.Response]:
        """An answer that is read as it comes."""
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        request = self._made("GET", path, params=parameters, headers=headers, timeout=SILENCE)
        answer = self._send(request, stream=True)
        try:
            if answer.status_code >= 400:
                answer.read()
            yield self._checked(answer)
        except httpx.TransportError as error:
            raise self._unanswered(error) from error
        finally:
            answer.close()

    def _made(self, method: str, path: str, **parts: Any) -> httpx.Request:
        try:
            return self._http.build_request(method, path, **parts)
        except UnicodeEncodeError as error:
            letters = ascii(error.object[error.start : error.end])
            raise Failure(f"{letters} is no text", "write it in UTF-8") from error

    def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        for pause_s in (*PAUSES_S, None):
            try:
                answer = self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                if pause_s is None or isinstance(error, httpx.ReadTimeout):
                    raise self._unanswered(error) from error
            else:
                if pause_s is None or answer.status_code not in _BUSY:
                    return answer
                answer.close()
            time.sleep(pause_s)
        raise AssertionError("the last try answers or raises")

    def _unanswered(self, error: httpx.TransportError) -> Failure:
        return Failure(
            f"the API at {self.url} does not answer: {str(error) or type(error).__name__}",
            "start it with `make up`, or say where it is with --url or TENDRIL_URL",
            Exit.UNANSWERED,
        )

    def _checked(self, answer: httpx.Response, step: str = "") -> httpx.Response:
        if answer.is_success:
            return answer
        if not answer.headers.get("content-type", "").startswith(PROBLEM):
            raise self.foreign(f": {answer.status_code} at {answer.request.url.path}")
        raise failure_of(self._document(answer), step)

    def _document(self, answer: httpx.Response) -> Document:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self.foreign()
        return found

    def foreign(self, told: str = "") -> Failure:
        """What is wrong where something else answers."""
        return Failure(f"what answers at {self.url} is not this API{told}", URL_STEP, Exit.UNANSWERED)


class Gone(Failure):
    """What was asked for is not kept any more, or was another log's."""


def failure_of(problem: Document, step: str = "") -> Failure:
    """The failure that a problem document (RFC 9457) is. `step` is for what is missing."""
    status = int(problem.get("status", 500))
    code = _CODES.get(status, Exit.UNANSWERED if status >= 500 else Exit.INVALID)
    found = tuple((one.get("pointer", ""), one.get("message", "")) for one in problem.get("errors", ())[:3])
    told = "; ".join(_told(*finding) for finding in found) or str(problem.get("detail", status))
    if status == 410:
        return Gone(told, "choose a newer moment, or leave it out", code)
    if status == 405:
        return Failure("users do not change or delete that: the system writes it, or it is always there", code=code)
    if code is Exit.MISSING:
        return Failure(told, step, code, found)
    if code is Exit.CONFLICT and found and found[0][0].endswith("/name"):
        return Failure(told, "take another name, or delete the other one first", code, found)
    if code is Exit.UNANSWERED and problem.get("requestId"):
        return Failure(told, f"try again in a moment, and look for request {problem['requestId']} in its logs", code)
    return Failure(told, _STEPS.get(code, "correct that and try again" if code is Exit.INVALID else ""), code, found)


def _told(pointer: str, message: str) -> str:
    """What is wrong with a field; parameters are named as the options that they come from."""
    if pointer.startswith("?"):
        pointer = _OPTIONS.get(pointer[1:], f"--{pointer[1:]}")
    return f"{pointer}: {message}" if pointer and not message.startswith(pointer) else message


_OPTIONS = {
    "labelSelector": "-l",
    "fieldSelector": "--field-selector",
    "asOf": "--as-of",
    "under": "--in, -g",
    "graceS": "--grace",
}
