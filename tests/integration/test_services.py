"""The fixtures themselves: a database of one's own, servers that may be killed, an image that nobody pulled."""

import asyncpg
import pytest
from docker import DockerClient

from datamodel.command import Command
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.conftest import StartNats
from tests.databases import Databases
from tests.feed import connected
from tests.graph import done
from tests.services import IMAGE
from tests.waiting import until


async def test_each_database_is_its_own_copy_of_the_template(databases: Databases, database_url: str) -> None:
    other_url = await databases.create()
    connection, other = await asyncpg.connect(database_url), await asyncpg.connect(other_url)
    await connection.execute("CREATE TABLE mine ()")
    assert await other.fetchval("SELECT to_regclass('mine')") is None
    await connection.close()
    await databases.drop(other_url)
    await until(other.is_closed)


async def test_a_database_that_is_used_again_is_as_new(databases: Databases) -> None:
    async def rows() -> dict[str, str]:
        connection = await asyncpg.connect(url)
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = {name: await connection.fetchval(f"SELECT json_agg(t)::text FROM {name} AS t") for (name,) in tables}
        found["next"] = await connection.fetchval("SELECT nextval('quarantine_id_seq')::text")
        await connection.close()
        return found

    url = await databases.create()
    new = await rows()
    async with PostgresStore(url, MODEL) as store:
        await done(store, Command("create", "/config/job-groups/mine"), Command("delete", "/config/job-groups/default"))
    assert await rows() != new
    await databases.drop(url)
    assert await databases.create() == url
    assert await rows() == new
    await databases.drop(url)


async def test_a_database_of_another_schema_is_not_used_again(databases: Databases) -> None:
    url = await databases.create()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE INDEX more ON nodes (kind)")
    await connection.close()
    await databases.drop(url)
    other = await databases.create()
    assert other != url
    await databases.drop(other)


async def test_a_private_server_forgets_its_streams_only_when_wiped(nats_server: StartNats) -> None:
    server = await nats_server()

    async def streams() -> list[str | None]:
        async with connected(server.access()) as bus:
            return [stream.config.name for stream in await bus.manager.streams_info()]

    async with connected(server.access()) as bus:
        await bus.manager.add_stream(name="MINE", subjects=["mine"])
    await server.kill()
    await server.start()
    assert await streams() == ["MINE"]
    await server.kill()
    server.wipe()
    await server.start()
    assert await streams() == []


@pytest.mark.docker
def test_the_image_of_containers_has_a_shell_and_its_tools(docker_engine: DockerClient) -> None:
    output = docker_engine.containers.run(IMAGE, ["/bin/sh", "-c", "echo 6 7 | awk '{print $1 * $2}'"], remove=True)
    assert output == b"42\n"
