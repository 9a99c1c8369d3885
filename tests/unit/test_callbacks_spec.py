"""Which callbacks a job may have, and what of its status may change once it has ended."""

from typing import Any

import pytest

from datamodel.command import Command
from datamodel.errors import Conflict, Invalid
from datamodel.parts import check_status, normal_spec
from datamodel.scheduling.callbacks import CALLBACKS_LIMIT, URL_LIMIT
from datamodel.scheduling.jobs import Job
from datamodel.seeds import seed
from tests.graph import STEPS, SYSTEM, done, memory_store, new_job, present, refusal, send

URL = "https://example.org/hook?of=me"


def spec(*callbacks: Any) -> dict[str, Any]:
    return normal_spec(Job, {"steps": STEPS, "callbacks": list(callbacks)})


def test_by_default_it_is_told_of_every_end() -> None:
    assert spec({"url": URL})["callbacks"] == [{"url": URL, "on": ["succeeded", "failed", "aborted"]}]
    assert "callbacks" not in normal_spec(Job, {"steps": STEPS})


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://example.org:8443/a/b?c=d&e=%20",
        "http://10.0.0.1/",
        "https://[2001:db8::1]:443/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_a_url_is_absolute(url: str) -> None:
    assert spec({"url": url})["callbacks"][0]["url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "/hook",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///hook",
        "https://user@example.org/",
        "https://user:word@example.org/",
        "https://example.org@evil.test/",
        "https://example.org/#fragment",
        "https://example.org\\@evil.test/",
        "https://example.org/a b",
        "https://example.org/\nhost: evil",
        "https://exämple.org/",
        "https://ex%61mple.org/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:port/",
        "https://[::1/",
        "https://[::1%25eth0]/",
        f"https://example.org/{'a' * URL_LIMIT}",
    ],
)
def test_what_is_no_url_or_opens_something_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec({"url": url})
    assert refused.value.field == "/spec/callbacks/0/url"


@pytest.mark.parametrize(
    ("callbacks", "pointer"),
    [
        ([], "/spec/callbacks"),
        ([{"url": f"{URL}{number}"} for number in range(CALLBACKS_LIMIT + 1)], "/spec/callbacks"),
        ([{"url": URL}, {"url": URL, "on": ["failed"]}], "/spec/callbacks"),
        ([{"url": URL, "on": []}], "/spec/callbacks/0/on"),
        ([{"url": URL, "on": ["pending"]}], "/spec/callbacks/0/on/0"),
        ([{"url": URL, "secret": "No Name"}], "/spec/callbacks/0/secret"),
        ([{"url": URL, "secret": "s", "key": "a b"}], "/spec/callbacks/0/key"),
        ([{"url": URL, "headers": {}}], "/spec/callbacks/0/headers"),
    ],
)
def test_what_is_wrong_is_named(callbacks: list[Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec(*callbacks)
    assert refused.value.field == pointer


def test_a_notice_has_a_shape() -> None:
    told = {"callback": 0, "state": "givenUp", "at": "2030-01-01T00:00:00+00:00", "reason": "TimedOut"}
    notice = {"id": "evt_1", "phase": "failed", "at": "2030-01-01T00:00:00+00:00", "told": [told]}
    check_status(Job, {"callbacks": [notice]})
    with pytest.raises(Invalid):
        check_status(Job, {"callbacks": [{**notice, "told": [{**told, "state": "lost"}]}]})


async def test_of_a_job_that_has_ended_nothing_but_its_callbacks_changes() -> None:
    store = memory_store()
    await seed(store)
    job = await new_job(store)
    await done(store, Command("patchStatus", job.path, {"phase": "succeeded"}), actor=SYSTEM)
    notices = {"callbacks": [{"id": "evt_1", "phase": "succeeded", "at": "2030-01-01T00:00:00+00:00", "told": []}]}
    await done(store, Command("patchStatus", job.path, notices), actor=SYSTEM)
    assert (await present(store, job.path)).status == {"phase": "succeeded", **notices}
    patches: list[dict[str, Any]] = [{"percentCompleted": 1.0}, {"phase": "running"}, {"callbacks": [], "outputs": {}}]
    for more in patches:
        assert refusal(await send(store, Command("patchStatus", job.path, more), actor=SYSTEM)) is Conflict
    await done(store, Command("patchStatus", job.path, {"callbacks": None}), actor=SYSTEM)
    assert (await present(store, job.path)).status == {"phase": "succeeded"}
