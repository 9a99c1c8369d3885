"""Fixtures of every suite. Each server starts once a worker, when the first test asks for it."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import docker
import pytest
import pytest_asyncio
from hypothesis import settings
from xdist.remote import Producer

from datamodel.feed.access import Access
from datamodel.scheduling.model import MODEL
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Supervisor
from migrations.upgrade import migrate
from tests.databases import Databases
from tests.fuzz.budget import LONG
from tests.services import IMAGE, PrivateNats, docker_client, import_busybox
from tests.side_by_side import ENGINE, Sharing, turn_of, unit_of

settings.register_profile("short", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, print_blob=True)
settings.load_profile("long" if LONG else "short")

StartNats = Callable[[], Awaitable[PrivateNats]]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which workers get them. A test of the engine that is not known by its name would not be kept apart."""
    for item in items:
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else []
        if (item.get_closest_marker("docker") or "docker_engine" in fixtures) and unit_of(item.nodeid) != ENGINE:
            raise pytest.UsageError(f"{item.nodeid} uses the Docker engine: its name must say docker or container")
    items.sort(key=lambda item: turn_of(item.nodeid))


def pytest_collection_finish() -> None:
    """What is there now stays: the garbage collector, which every world runs, need not look at thousands of tests again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _nothing_left() -> Iterator[None]:
    """What was left to the garbage collector warns while a test can still fail for it: how a worker ends fails none."""
    yield
    for _ in range(5):  # what is collected may hold more
        gc.collect()


@pytest_asyncio.fixture(scope="session")
async def databases(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Databases]:
    home = tmp_path_factory.mktemp("postgres")
    postgres = Postgres(home, durable=False)  # no test outlives the machine
    async with Supervisor(home / "logs") as supervisor:
        await postgres.start(supervisor)
        databases = Databases(postgres, lambda url: migrate(url, MODEL))
        await databases.prepare()
        yield databases


@pytest_asyncio.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """A database of this test alone, at the schema's head."""
    url = await databases.create()
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def empty_database_url(databases: Databases) -> AsyncIterator[str]:
    """A database of this test alone, with nothing in it."""
    url = await databases.create_empty()
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture(scope="session")
async def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nats]:
    home = tmp_path_factory.mktemp("nats")
    nats = Nats(home)
    async with Supervisor(home / "logs") as supervisor:
        await nats.start(supervisor)
        yield nats


@pytest.fixture
def nats_access(shared_nats: Nats) -> Access:
    """The shared server, in the role that may do everything. A test names its streams uniquely or removes them."""
    return shared_nats.access("reconcilers")


@pytest_asyncio.fixture
async def nats_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StartNats]:
    """Makes running servers that the test may kill or wipe."""
    async with AsyncExitStack() as cleanup:

        async def start() -> PrivateNats:
            server = PrivateNats(tmp_path_factory.mktemp("nats"))
            cleanup.push_async_callback(server.kill)
            await server.start()
            return server

        yield start


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    """A client of the machine's engine, which has the image `tests.services.IMAGE`."""
    engine = docker_client()
    import_busybox(engine)
    yield engine
    engine.images.remove(IMAGE, force=True)
    engine.close()
