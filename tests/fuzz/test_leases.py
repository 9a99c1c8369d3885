"""Leases against a dictionary: who holds which, with which token, in the fake and in the database."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from datamodel.command import Fence
from datamodel.errors import Fenced
from datamodel.lease import LEASE_LIMIT_S, Lease
from datamodel.ports import Store
from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from datamodel.seeds import seed
from tests.databases import Databases
from tests.fuzz.budget import budget
from tests.graph import job, memory_store, refusal, send

LASTING_S, OVER_S = LEASE_LIMIT_S, 0.0
"""A lease that outlasts the test, and one that is over when it is given: no test waits for the store's clock."""

_NAMES = ["a", "b", "member/c"]


@dataclass(frozen=True)
class Step:
    op: str
    names: list[str]
    holder: str
    ttl_s: float
    others: int
    """By how much the token of a fence differs from the last."""


_steps = st.builds(
    Step,
    st.sampled_from(["acquire", "acquire", "release", "write"]),
    st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3, unique=True),
    st.sampled_from(["first", "second"]),
    st.sampled_from([LASTING_S, LASTING_S, OVER_S]),
    st.sampled_from([-1, 0, 0, 1]),
)


@dataclass
class Model:
    """By name: the last token, and who holds it if anybody does."""

    tokens: dict[str, int] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)

    def acquire(self, step: Step, got: dict[str, int]) -> None:
        """Who asks gets what is free or its own: of what was free, a token that is higher than the last."""
        assert set(got) == {name for name in step.names if self.holders.get(name) in (None, step.holder)}
        for name, token in got.items():
            if name in self.holders:
                assert token == self.tokens[name]
            else:
                assert token > self.tokens.get(name, 0)
            self.tokens[name], self.holders[name] = token, step.holder
            if step.ttl_s == OVER_S:
                del self.holders[name]

    def release(self, step: Step) -> None:
        for name in step.names:
            if self.holders.get(name) == step.holder:
                del self.holders[name]


_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module")
async def fake() -> Store:
    store = memory_store()
    await seed(store)
    return store


@pytest_asyncio.fixture(scope="module")
async def real(databases: Databases) -> AsyncIterator[Store]:
    url = await databases.create()
    async with PostgresStore(url, MODEL) as store:
        yield store
    await databases.drop(url)


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


@budget(25)
@given(steps=st.lists(_steps, max_size=25))
async def test_every_acquisition_has_a_higher_token_and_one_holder(store: Store, steps: list[Step]) -> None:
    model, own = Model(), f"{next(_numbers)}/"
    for step in steps:
        names = [own + name for name in step.names]
        match step.op:
            case "acquire":
                got = await store.acquire(names, step.holder, step.ttl_s)
                model.acquire(step, {name.removeprefix(own): token for name, token in got.items()})
            case "release":
                await store.release(names, step.holder)
                model.release(step)
            case "write":
                name = step.names[0]
                token = model.tokens.get(name, 1) + step.others
                outcome = await send(store, job(f"j{next(_numbers)}"), fence=Fence(own + name, token))
                is_held = name in model.holders and not step.others
                assert refusal(outcome) is (None if is_held else Fenced)
        held = {own + name: Lease(holder, model.tokens[name]) for name, holder in model.holders.items()}
        assert await store.renew([own], "nobody", LASTING_S) == held
        found = await store.renew([f"{own}member/", "none"], step.holder, LASTING_S)
        assert found == {name: lease for name, lease in held.items() if name == f"{own}member/c"}
