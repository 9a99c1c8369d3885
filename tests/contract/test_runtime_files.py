"""Files of attempts: what the steps leave, as the agent reads it, and what they are given."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from agents.runtimes.protocol import Artifact, Input, SharedFile, Work
from datamodel.errors import Invalid
from tests.contract.test_runtime import Rig, any_rig, rig

__all__ = ["any_rig", "rig"]

SIZE = 9_000_001


def leaving(rig: Rig, script: str, **fields: Any) -> Work:
    """Work that declares an artifact: of others, nobody asks for files."""
    return rig.work(script, artifacts=(Artifact("left", "a"),), **fields)


async def content_of(file: SharedFile | None, limit_bytes: int = 100_000) -> bytes:
    assert file is not None
    parts = []
    while part := await file.read(limit_bytes):
        assert len(part) <= limit_bytes
        parts.append(part)
    await file.close()
    assert sum(map(len, parts)) == file.size_bytes
    return b"".join(parts)


async def test_a_file_that_the_steps_left_is_read_in_parts_by_any_instance(rig: Rig) -> None:
    script = (
        f"mkdir -p $SHARED_DIR/a/b; head -c {SIZE} /dev/zero | tr '\\0' x > $SHARED_DIR/a/b/c; : > $SHARED_DIR/empty"
    )
    work = leaving(rig, script)
    await rig.run(work)
    assert await content_of(await rig.runtime.open_file(work.attempt, "a/b/c")) == b"x" * SIZE
    assert await content_of(await rig.runtime.open_file(work.attempt, "empty")) == b""
    begun = await rig.runtime.open_file(work.attempt, "a/b/c")
    assert begun is not None
    assert await begun.read(10) == b"x" * 10
    await begun.close()
    await rig.reopen()
    assert await content_of(await rig.runtime.open_file(work.attempt, "a/b/c"), 10**7) == b"x" * SIZE


async def test_where_nothing_is_there_is_no_file(any_rig: Rig) -> None:
    assert await any_rig.runtime.open_file("nobody-knows", "a") is None
    work = leaving(any_rig, "true")
    await any_rig.start(work, 0)
    await any_rig.until(work.attempt, lambda found: found.steps[0].phase == "exited")
    if any_rig.runtime.name == "simulated":
        assert await content_of(await any_rig.runtime.open_file(work.attempt, "a")) == f"{work.attempt} a\n".encode()
        return
    for path in ("a", "a/b"):
        assert await any_rig.runtime.open_file(work.attempt, path) is None


@pytest.mark.parametrize("name", ["a b", "-n", "*", "é\u202e", "%2e%2e", "'\"$(x)", "x" * 200, "...", "\\"])
async def test_odd_names_are_names(rig: Rig, name: str) -> None:
    work = leaving(rig, f"cat > \"$SHARED_DIR/$NAME\" <<'E'\n{name}\nE", env={"NAME": name})
    assert (await rig.run(work)).steps[0].exit_code == 0
    assert await content_of(await rig.runtime.open_file(work.attempt, name)) == f"{name}\n".encode()


@pytest.mark.parametrize(
    ("make", "path", "told"),
    [
        ("ln -s /etc/passwd $SHARED_DIR/a", "a", "a link"),
        ("ln -s b $SHARED_DIR/a; echo > $SHARED_DIR/b", "a", "a link"),
        ("ln -s /etc $SHARED_DIR/a", "a/passwd", "a link"),
        ("ln -s .. $SHARED_DIR/a", "a/etc/passwd", "a link"),
        ("ln -s . $SHARED_DIR/a; echo > $SHARED_DIR/b", "a/b", "a link"),
        ("mkdir $SHARED_DIR/a", "a", "something else"),
        ("mkfifo $SHARED_DIR/a", "a", "something else"),
        ("echo > $SHARED_DIR/a", "a/b", "regular file"),
        ("true", "../attempt.json", "no path"),
        ("true", "/etc/passwd", "no path"),
        ("true", "a/../../attempt.json", "no path"),
    ],
)
async def test_what_leads_elsewhere_or_is_no_file_is_refused(rig: Rig, make: str, path: str, told: str) -> None:
    work = leaving(rig, make)
    assert (await rig.run(work)).steps[0].exit_code == 0
    with pytest.raises(Invalid, match=told):
        await rig.runtime.open_file(work.attempt, path)


async def test_a_file_of_two_names_is_refused_where_the_other_may_be_another_s(rig: Rig) -> None:
    work = leaving(rig, "echo > $SHARED_DIR/a; ln $SHARED_DIR/a $SHARED_DIR/b")
    await rig.run(work)
    if rig.runtime.name in {"docker", "kubernetes"}:  # whose volumes have nobody else's files
        assert await content_of(await rig.runtime.open_file(work.attempt, "a")) == b"\n"
        return
    with pytest.raises(Invalid, match="several names"):
        await rig.runtime.open_file(work.attempt, "a")


async def test_a_huge_sparse_file_says_how_large_it_is_before_it_is_read(rig: Rig) -> None:
    work = leaving(rig, "dd if=/dev/zero of=$SHARED_DIR/a bs=1 count=1 seek=20G 2>/dev/null")
    assert (await rig.run(work)).steps[0].exit_code == 0
    file = await rig.runtime.open_file(work.attempt, "a")
    assert file is not None
    assert file.size_bytes == 20 * 2**30 + 1
    if rig.runtime.name != "docker":  # where reading begins with a copy of all of it
        assert await file.read(10) == bytes(10)
    await file.close()


async def test_steps_find_what_they_are_given_and_may_read_it(rig: Rig, tmp_path: Path) -> None:
    content = {"a": b"alpha", "d/e/0": b"x" * 300_000, "d/1 é": b""}
    inputs = []
    for number, (path, data) in enumerate(content.items()):
        source = tmp_path / str(number)
        source.write_bytes(data)
        source.chmod(0o600)
        inputs.append(Input("k", len(data), hashlib.sha256(data).hexdigest(), path, str(source)))
    script = 'cd $SHARED_DIR/inputs && cat a d/e/0 "d/1 é" > ../out && find . -type f | wc -l > ../count'
    work = leaving(rig, script, inputs=tuple(inputs))
    assert (await rig.run(work)).steps[0].exit_code == 0
    assert await content_of(await rig.runtime.open_file(work.attempt, "out")) == b"alpha" + b"x" * 300_000
    assert (await content_of(await rig.runtime.open_file(work.attempt, "count"))).split() == [b"3"]
