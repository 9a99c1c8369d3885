"""The fixtures themselves: a database of one's own, servers that may be killed, an image that nobody pulled."""

import asyncpg
import nats
import pytest
from docker import DockerClient

from tests.conftest import StartNats
from tests.services import IMAGE, Databases


async def test_each_database_is_its_own_copy_of_the_template(databases: Databases, database_url: str) -> None:
    other_url = await databases.create()
    connection, other = await asyncpg.connect(database_url), await asyncpg.connect(other_url)
    await connection.execute("CREATE TABLE mine ()")
    assert await other.fetchval("SELECT to_regclass('mine')") is None
    await connection.close()
    await databases.drop(other_url)
    assert other.is_closed()


async def test_a_private_server_forgets_its_streams_only_when_wiped(nats_server: StartNats) -> None:
    server = await nats_server()

    async def streams() -> list[str | None]:
        client = await nats.connect(server.url())
        names = [stream.config.name for stream in await client.jetstream().streams_info()]
        await client.close()
        return names

    client = await nats.connect(server.url())
    await client.jetstream().add_stream(name="MINE", subjects=["mine"])
    await client.close()
    await server.kill()
    await server.start()
    assert await streams() == ["MINE"]
    await server.kill()
    server.wipe()
    await server.start()
    assert await streams() == []


@pytest.mark.docker
def test_the_image_has_a_shell_and_its_tools(docker_engine: DockerClient) -> None:
    output = docker_engine.containers.run(IMAGE, ["/bin/sh", "-c", "echo 6 7 | awk '{print $1 * $2}'"], remove=True)
    assert output == b"42\n"
