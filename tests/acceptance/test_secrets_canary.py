"""A planted secret is searched for in everything that a whole system leaves behind: its database's files and tables, its
streams, its logs, the edge's disk and memory, a backup, and every answer of its API."""

import asyncio
import base64
import contextlib
import gzip
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest

from sim.chaos.machine import Machine, machine, until

MEMORY = Path("/dev/shm")
SECRET = "/v1/secrets/default"
USE = {"secret": "canary", "env": "CANARY"}
FILE = {"secret": "canary", "file": "canary"}
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"

TELL = """
echo "marker-told $CANARY"
printf %s "$CANARY" | base64 -w0; echo
printf %s "user:$CANARY" | base64 -w0; echo
od -An -v -tx1 < $SECRETS_DIR/canary | tr -d ' \\n'; echo
cut -c1-15 < $SECRETS_DIR/canary | tr -d '\\n'; sleep 0.3; cut -c16- < $SECRETS_DIR/canary
cat $SECRETS_DIR/canary >&2
echo '{"marker": "marker-result"}' > $SHARED_DIR/result.json
"""
CRASH = "ulimit -c unlimited 2>/dev/null; kill -SEGV $$"
RESULT = 'printf \'{"marker": "%s"}\' "$CANARY" > $SHARED_DIR/result.json'
WAIT = 'echo "marker-first $CANARY"; while ! test -e $SHARED_DIR/go; do sleep 0.1; done; echo "marker-last $CANARY"'


@pytest.mark.timeout(300)
async def test_a_canary_is_found_nowhere(tmp_path: Path) -> None:
    canary, home = f"cAnArY{secrets.token_hex(20)}", tmp_path / "home"
    answers: list[bytes] = []
    async with machine(home, edges=1, runtime="process") as up:
        up.client.event_hooks["response"].append(lambda answer: _keep(answer, answers))
        await up.ask("PUT", f"{SECRET}/canary", json={"value": canary})
        database = await asyncpg.connect(up.environment()["TENDRIL_DATABASE_URL"])
        for program in ("gateway", "reconcilers", "edge-1"):
            assert _dumps_nothing(up.program(program))
        await _crash_the_gateway(up, database, canary)
        await _build(up, canary)
        assert (await _run(up, "tell", TELL))["status"]["phase"] == "succeeded"
        refused = await _run(up, "result", RESULT)
        assert refused["status"]["phase"] == "failed"
        assert (await _run(up, "crash", CRASH))["status"]["phase"] == "failed"
        await _kill_all_midway(up, home)
        await _read_everything(up, home, answers)
        tables = await _tables(database)
        await database.execute("CHECKPOINT")
        await database.close()
        await _forgotten(home)
        with (tmp_path / "up.log").open("rb") as log:
            answers.append(log.read())
    kept = {**_files(home), "tables": tables.encode(), "answers": b"\n".join(answers)}
    kept |= _files(MEMORY, "tendril-")
    found = sorted((name, form) for name, content in kept.items() for form, text in _forms(canary) if text in content)
    assert found == []
    # What is searched for is found where it may be: in a stream, in the log, in answers.
    for marker, place in (
        ("marker-told ***", "jetstream"),
        ("marker-built ***", "jetstream"),
        ("marker-told $CANARY", "pg_wal"),
        ("marker-last", "answers"),
    ):
        assert any(place in name and marker.encode() in content for name, content in kept.items()), (marker, place)
    assert "marker-result" in tables


def _dumps_nothing(program: psutil.Process) -> bool:
    pages = int(Path(f"/proc/{program.pid}/coredump_filter").read_text(), 16)
    return bool(program.rlimit(psutil.RLIMIT_CORE)[0] == 0 and pages == 0)


async def _crash_the_gateway(up: Machine, database: "asyncpg.Connection[asyncpg.Record]", canary: str) -> None:
    """By what a database refuses that nobody expected, and by what is none."""
    await database.execute("ALTER TABLE secrets ADD CONSTRAINT unexpected CHECK (name <> 'crash')")
    crashed = await up.ask("PUT", f"{SECRET}/crash", json={"value": canary})
    assert crashed.status_code == 500
    await database.execute("ALTER TABLE secrets DROP CONSTRAINT unexpected")
    for wrong in (
        json.dumps({"value": [canary]}),
        json.dumps({canary: canary}),
        f'{{"value": "{canary}',
        f'"{canary}"',
    ):
        answer = await up.ask("PUT", f"{SECRET}/a", content=wrong, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422)


async def _build(up: Machine, canary: str) -> None:
    """In the form of Hades, which brings its secrets along; one such document is refused."""
    step = {
        "name": "s",
        "image": "busybox:latest",
        "script": 'echo "marker-built $GIT_TOKEN"; printf %s "$URL" | base64',
    }
    document = {"name": "built", "metadata": {"GIT_TOKEN": canary, "URL": f"https://u:{canary}@h/"}, "steps": [step]}
    built = (await up.ask("POST", "/build", json=document)).json()["job_id"]
    location = f"/v1/jobs/default/{built}"
    assert (await up.finished(location, timeout_s=60))["status"]["phase"] == "succeeded"
    for path in (location, f"{location}/logs", f"{location}/chunks", "/jobs", f"/jobs/{built}"):
        await up.ask("GET", path)
    refused = await up.ask("POST", "/build", json={**document, "callback_url": f"https://u:{canary}@h/"})
    assert refused.status_code == 422


async def _run(up: Machine, name: str, script: str) -> dict[str, Any]:
    return await up.finished(await up.submit(_document(name, script)), timeout_s=60)


def _document(name: str, script: str) -> dict[str, Any]:
    step = {"name": "s", "image": "busybox:latest", "script": script, "secrets": [USE, FILE]}
    return {"name": name, "retries": 0, "steps": [step]}


async def _kill_all_midway(up: Machine, home: Path) -> None:
    location = await up.submit(_document("wait", WAIT))

    async def said() -> bool:
        return "marker-first" in (await up.ask("GET", f"{location}/logs")).text

    await until(said, timeout_s=30)
    for program in ("edge-1", "gateway", "reconcilers"):
        await up.kill(program)
    (shared,) = (path.resolve() for path in (home / "edges").glob("*/attempts/*/shared") if (path / "..").is_dir())
    (shared / "go").touch()
    assert (await up.finished(location, timeout_s=60))["status"]["phase"] == "succeeded"


async def _read_everything(up: Machine, home: Path, answers: list[bytes]) -> None:
    for name in ("tell", "result", "crash", "wait"):
        job = f"/v1/jobs/default/{name}"
        for path in (job, f"{job}/logs", f"{job}/logs?stream=stderr"):
            await up.ask("GET", path)
        await up.ask("GET", f"{job}/logs", headers={"accept": "application/x-ndjson"})
        async with up.client.stream("GET", f"{job}/logs", params={"follow": "true"}) as followed:
            answers.append(await followed.aread())
    for path in ("/v1/jobs", "/v1/edges", "/v1/sites", "/v1/stats", SECRET, f"{SECRET}/canary", "/openapi.json"):
        await up.ask("GET", path)
    for path in ("inventory/sites/local/edges", "desired-config/sites/local/edges/edge-1/attempts"):
        await up.ask("GET", f"/v1/{path}")
    query = """{ node(path: "/config/job-groups/default/jobs/tell") { path ... on Job { spec { steps { script } }
        status { phase outputs } attempts { edges { node { ... on Attempt { status { message outputs } } } } } } } }"""
    asked = await up.ask("POST", "/graphql", json={"query": query})
    assert "marker-told" in asked.text
    backup = home / "monday.jsonl.gz"
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "datamodel.keeping", "backup", str(backup)), env={**os.environ, **up.environment()}
    )
    assert await program.wait() == 0


async def _forgotten(home: Path) -> None:
    """Returns once nothing of an attempt is left at the edge: until then, its own files are where it put them."""

    async def nothing() -> bool:
        return not list((home / "edges").glob("*/attempts/*"))

    await until(nothing, timeout_s=60)


async def _keep(answer: httpx.Response, answers: list[bytes]) -> None:
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        answers.append(str(answer.headers).encode() + await answer.aread())


async def _tables(database: "asyncpg.Connection[asyncpg.Record]") -> str:
    """All rows of all tables, as text."""
    rows: list[asyncpg.Record] = []
    for (name,) in await database.fetch(TABLES):
        rows += await database.fetch(f"SELECT * FROM {name}")
    return "\n".join(str(dict(row)) for row in rows)


def _files(place: Path, prefix: str = "") -> dict[str, bytes]:
    """Of all below it, or in what is named like that. In memory, files of other tests' agents come and go meanwhile."""
    found = {}
    for folder, _, names in os.walk(place):
        for path in (Path(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if f"{path.relative_to(place)}".startswith(prefix) and path.is_file() and not path.is_symlink():
                    content = path.read_bytes()
                    found[str(path)] = gzip.decompress(content) if path.suffix == ".gz" else content
    return found


def _forms(canary: str) -> Iterator[tuple[str, bytes]]:
    """The value as it may be written; base64 also of what has other text before it."""
    yield "plain", canary.encode()
    yield "half", canary[:15].encode()
    yield "other half", canary[15:].encode()
    yield "hex", canary.encode().hex().encode()
    yield "HEX", canary.encode().hex().upper().encode()
    yield "UTF-16", canary.encode("utf-16-le")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + canary.encode())
        yield f"base64 behind {before}", encoded[4 if before else 0 : -4]
