"""Hades' document as a job: what becomes of each field, and what is refused."""

import json
from typing import Any

import pytest

from datamodel.errors import Invalid
from datamodel.parts import normal_spec
from datamodel.scheduling.jobs import Job
from gateway.fronts.given import parsed
from gateway.fronts.hades import Build, HadesBuild, accepted, build_of

ID = "6f6f3c1e-2b0c-4e2a-9d53-6a2a7c0f9d11"
STEP = {"id": 1, "name": "Hello World", "image": "alpine:latest", "script": "echo hello"}
CANARY = "cAnArY-7f3a91"


def read(**fields: Any) -> HadesBuild:
    return parsed(json.dumps({"name": "Example Job", "steps": [STEP], **fields}).encode(), HadesBuild)


def built(**fields: Any) -> Build:
    build = build_of(read(**fields), ID)
    spec = {name: value for name, value in build.document.items() if name not in ("name", "labels")}
    normal_spec(Job, spec)  # it is one
    return build


def steps(*fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": f"s{at}", "image": "alpine", **own} for at, own in enumerate(fields)]


def test_the_smallest_document() -> None:
    document = built().document
    assert document == {
        "name": ID,
        "labels": {"hades.tum.de/priority": "3"},
        "annotations": {"hades.tum.de/name": "Example Job"},
        "retries": 0,
        "requests": {"cpu": 0.5, "memoryBytes": 512 * 2**20},
        "steps": [
            {
                "name": "1-hello-world",
                "image": "alpine:latest",
                "script": 'cd "$SHARED_DIR"\necho hello',
                "env": {"UUID": ID, "JOB_NAME": "Example Job"},
                "readOnlyRoot": False,
                "continueOnError": False,
            }
        ],
    }


def test_limits_are_the_largest_that_a_step_names() -> None:
    document = built(
        timeout_seconds=600,
        steps=steps(
            {"memory_limit": "512M", "memory_swap": "1G", "pids_limit": 64},
            {"cpu_limit": 2, "memory_limit": "2G", "memory_swap": "2g", "pids_limit": 512, "network": "none"},
            {"network": "default", "continue_on_error": True},
        ),
    ).document
    assert document["requests"] == {"cpu": 2, "memoryBytes": 2 * 2**30}
    assert document["limits"] == {"timeoutS": 600, "pids": 512, "swapBytes": 512 * 2**20}
    assert document["network"] == "none"
    assert [step["continueOnError"] for step in document["steps"]] == [False, False, True]


def test_what_has_no_place_is_a_label_or_an_annotation() -> None:
    document = built(id=ID, priority=7, timestamp="2021-01-01T00:00:00.000Z").document
    assert document["labels"] == {"hades.tum.de/priority": "3", "hades.tum.de/id": ID}
    assert document["annotations"] == {
        "hades.tum.de/name": "Example Job",
        "hades.tum.de/timestamp": "2021-01-01T00:00:00+00:00",
    }
    assert built(priority=-1).document["labels"] == {"hades.tum.de/priority": "1"}


def test_the_callback_url_is_a_callback_of_the_job() -> None:
    url = "http://localhost:8082/adapter/logs"
    build = built(callback_url=url)
    assert build.document["callbacks"] == [{"url": url}]
    assert build.places["/callbacks"] == "/callback_url"
    assert "callbacks" not in built().document


def test_what_go_writes_for_nothing_is_nothing() -> None:
    nothing = {"id": "00000000-0000-0000-0000-000000000000", "timestamp": "0001-01-01T00:00:00Z", "metadata": None}
    empty = {"network": "", "memory_limit": "", "memory_swap": "", "cpu_limit": 0, "pids_limit": 0, "metadata": None}
    assert built(**nothing, callback_url="", timeout_seconds=0, steps=[{**STEP, **empty}]) == built()


def test_metadata_are_variables_and_a_steps_own_come_last() -> None:
    document = built(
        metadata={"GLOBAL": "test", "BOTH": "job", "UUID": "mine"}, steps=steps({"metadata": {"BOTH": "step"}}, {})
    ).document
    told = {"UUID": ID, "JOB_NAME": "Example Job", "GLOBAL": "test"}
    assert [step["env"] for step in document["steps"]] == [{**told, "BOTH": "step"}, {**told, "BOTH": "job"}]


def test_credentials_are_references_and_their_values_apart() -> None:
    build = built(
        metadata={"GIT_TOKEN": CANARY, "PLAIN": "x", "EMPTY_TOKEN": ""},
        steps=steps({"metadata": {"GIT_TOKEN": f"{CANARY}2"}}, {"metadata": {"DB_URL": f"postgres://u:{CANARY}@db"}}),
    )
    first, second = build.document["steps"]
    secret = f"hades-{ID}"
    assert first["secrets"] == [{"secret": secret, "key": "GIT_TOKEN", "env": "GIT_TOKEN"}]
    assert second["secrets"] == [
        {"secret": secret, "key": "2.GIT_TOKEN", "env": "GIT_TOKEN"},
        {"secret": secret, "key": "DB_URL", "env": "DB_URL"},
    ]
    assert build.secret == secret
    assert build.values == {
        "GIT_TOKEN": f"{CANARY}2",
        "2.GIT_TOKEN": CANARY,
        "DB_URL": f"postgres://u:{CANARY}@db",
    }
    assert first["env"]["EMPTY_TOKEN"] == ""
    assert CANARY not in json.dumps(build.document) + repr(build) + str(build)


@pytest.mark.parametrize(
    ("name", "expected"), [("Ärger & Co", "1-rger-co"), ("", "1-step"), ("x" * 90, "1-" + "x" * 59)]
)
def test_a_steps_name_becomes_a_label(name: str, expected: str) -> None:
    assert built(steps=[{**STEP, "name": name}]).document["steps"][0]["name"] == expected


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown field", {"volumes": []}, "/volumes"),
    ("an unknown field of a step", {"steps": [{**STEP, "workingDir": "/shared"}]}, "/steps/0/workingDir"),
    ("no name", {"name": ""}, "/name"),
    ("a name with a zero byte", {"name": "a\x00"}, "/name"),
    ("no steps", {"steps": []}, "/steps"),
    ("null for steps", {"steps": None}, "/steps"),
    ("a step without an image", {"steps": [{"id": 1}]}, "/steps/0/image"),
    ("ids out of order", {"steps": [{**STEP, "id": 2}, {**STEP, "id": 1}]}, "/steps/1/id"),
    ("an id twice", {"steps": [STEP, STEP]}, "/steps/1/id"),
    ("a fraction of a core", {"steps": [{**STEP, "cpu_limit": 0.5}]}, "/steps/0/cpu_limit"),
    ("memory without a unit", {"steps": [{**STEP, "memory_limit": "512"}]}, "/steps/0/memory_limit"),
    ("swap without memory", {"steps": [{**STEP, "memory_swap": "1G"}]}, "/steps/0/memory_swap"),
    (
        "less swap than memory",
        {"steps": [{**STEP, "memory_limit": "2G", "memory_swap": "1G"}]},
        "/steps/0/memory_swap",
    ),
    ("two networks", {"steps": steps({"network": "none"}, {}, {"network": "bridge"})}, "/steps/2/network"),
    ("a negative time", {"timeout_seconds": -1}, "/timeout_seconds"),
    ("an absurd time", {"timeout_seconds": 2**40}, "/timeout_seconds"),
    ("a number as a variable", {"metadata": {"A": 1}}, "/metadata/A"),
    ("a variable's name", {"metadata": {"GIT_USERNAME[_*]": "x"}}, "/metadata/GIT_USERNAME[_*]"),
    ("a callback that is no URL", {"callback_url": "localhost"}, "/callback_url"),
    ("a callback that is a file", {"callback_url": "file:///etc/passwd"}, "/callback_url"),
    ("a callback with a password", {"callback_url": f"https://u:{CANARY}@h/"}, "/callback_url"),
    ("a callback with a token", {"callback_url": f"https://h/?token={CANARY}"}, "/callback_url"),
    ("a callback with half an address", {"callback_url": "http://[::1/"}, "/callback_url"),
    ("an id that is none", {"id": "1"}, "/id"),
    ("a time without an offset", {"timestamp": "2021-01-01T00:00:00"}, "/timestamp"),
    (
        "more credentials than a secret has",
        {"steps": steps(*({"metadata": {f"TOKEN_{n}_{s}": CANARY for n in range(25)}} for s in range(3)))},
        "/steps/2/metadata/TOKEN_14_2",
    ),
    (
        "larger credentials than a secret has",
        {"metadata": {f"KEY{n}": CANARY[:8] * 4_000 for n in range(3)}},
        "/metadata/KEY2",
    ),
    ("a credential with a zero byte", {"metadata": {"TOKEN": f"{CANARY}\x00"}}, "/metadata/TOKEN"),
]


@pytest.mark.parametrize(("fields", "pointer"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_is_refused_is_named_and_not_shown(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        build_of(read(**fields), ID)
    assert pointer in [found for found, _ in refused.value.details]
    assert not any(message.startswith("Value error") for _, message in refused.value.details)
    error: BaseException | None = refused.value
    while error is not None:
        assert CANARY not in f"{error}{error!r}"
        error = error.__cause__ or error.__context__


def test_the_answer_says_what_the_callback_url_hears_and_where_the_logs_are() -> None:
    assert accepted(read(), ID).message == "Successfully enqueued job"
    message = accepted(read(callback_url="http://localhost/"), ID).message
    assert "hears of its end" in message
    assert f"/v1/jobs/default/{ID}/logs" in message
