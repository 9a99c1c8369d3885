"""Whether what an agent tells is its own: by the signature, as the graph knows the agent."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodel.command import Command
from datamodel.errors import Forbidden
from datamodel.feed.memory import MemoryMessages
from datamodel.feed.signing import Signing
from datamodel.identity.envelope import opened, seal
from datamodel.identity.nkeys import Key, Verifier
from datamodel.memory import MemoryStore
from datamodel.ports import Change
from datamodel.reads import Reads
from datamodel.scheduling import wire
from datamodel.scheduling.credentials import credential_path
from datamodel.seeds import seed
from reconcilers.identities import KNOWN_S, Identities, Verified
from reconcilers.runtime.metrics import Metrics
from tests.graph import SYSTEM, done, memory_store
from tests.waiting import until

OWN, OTHER = (Key("user", bytes([number]) * 32) for number in (1, 2))
SUBJECT = wire.report_subject("s", "e")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Rig:
    """A store that knows one agent, and who asks whether it is it."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.metrics = Metrics()
        self.now = NOW
        self.identities = Identities(Reads(store), self.metrics, lambda: self.now)

    @classmethod
    async def of(cls, *, count: int = 1) -> "Rig":
        store = memory_store()
        await seed(store)
        spec = {"publicKey": OWN.public, "count": count}
        await done(store, Command("create", "/config/sites/s"), Command("create", credential_path("s", "e"), spec))
        return cls(store)

    async def patch(self, **spec: object) -> None:
        await done(self.store, Command("patchSpec", credential_path("s", "e"), dict(spec)))
        await self.changed()

    async def changed(self) -> None:
        """What everybody is told who follows the log."""
        node = (await self.store.nodes([credential_path("s", "e")])).get(credential_path("s", "e"))
        change = Change(
            position=1, path=credential_path("s", "e"), uid="u", kind="Credential", event_id="id", node=node
        )
        assert list(self.identities.watches["Credential"](change)) == []

    async def refusal(self, data: bytes, subject: str = SUBJECT) -> str:
        with pytest.raises(Forbidden) as caught:
            await self.identities.opened(subject, data)
        return caught.value.message


@given(st.binary(max_size=300), st.text("abc.", max_size=20))
def test_an_envelope_is_opened_as_it_was_closed(body: bytes, subject: str) -> None:
    assert opened(Verifier(OWN.public), subject, seal(OWN, subject, body)) == body


@given(st.binary(max_size=300))
def test_what_nobody_has_signed_is_refused(data: bytes) -> None:
    with pytest.raises(Forbidden):
        opened(Verifier(OWN.public), SUBJECT, data)


async def test_what_an_agent_has_signed_is_its_own() -> None:
    rig = await Rig.of()
    assert await rig.identities.opened(SUBJECT, seal(OWN, SUBJECT, b"said")) == b"said"
    assert rig.identities.hosts("s", "e", "e")
    assert not rig.identities.hosts("s", "e", "e-0")


async def test_what_it_has_not_signed_is_refused() -> None:
    rig = await Rig.of()
    elsewhere = wire.beat_subject("s", "e")
    good = seal(OWN, SUBJECT, b"said")
    assert await rig.refusal(b"said") == "the message is not signed"
    assert await rig.refusal(seal(OTHER, SUBJECT, b"said")) == "the signature does not hold"
    assert await rig.refusal(seal(OWN, elsewhere, b"said")) == "the signature does not hold"
    assert await rig.refusal(good + b"!") == "the signature does not hold"
    assert await rig.refusal(good[:64] + b"else") == "the signature does not hold"
    assert await rig.refusal(good[64:] + good[:64]) == "the signature does not hold"
    assert "nobody of that name" in await rig.refusal(good, wire.report_subject("s", "f"))
    assert "nobody of that name" in await rig.refusal(good, wire.report_subject("attic", "e"))
    assert await rig.refusal(good, "beat.s") == "the subject names no agent"


async def test_who_is_revoked_or_gone_says_nothing_any_more() -> None:
    rig = await Rig.of()
    said = seal(OWN, SUBJECT, b"said")
    assert await rig.identities.opened(SUBJECT, said) == b"said"
    await rig.patch(revoked=True)
    assert "nobody of that name" in await rig.refusal(said)
    await rig.patch(revoked=False)
    assert await rig.identities.opened(SUBJECT, said) == b"said"
    await rig.patch(publicKey=OTHER.public)
    assert await rig.refusal(said) == "the signature does not hold"
    await done(rig.store, Command("delete", credential_path("s", "e")))
    await rig.changed()
    assert "nobody of that name" in await rig.refusal(seal(OTHER, SUBJECT, b"said"))


async def test_a_credential_that_has_expired_is_worth_nothing() -> None:
    rig = await Rig.of()
    status = {"phase": "signed", "expiresAt": (NOW + timedelta(seconds=10)).isoformat()}
    await done(rig.store, Command("patchStatus", credential_path("s", "e"), status), actor=SYSTEM)
    said = seal(OWN, SUBJECT, b"said")
    assert await rig.identities.opened(SUBJECT, said) == b"said"
    rig.now += timedelta(seconds=10)
    assert await rig.refusal(said) == "the credential has expired"


async def test_a_change_of_which_no_word_came_is_seen_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = await Rig.of()
    said = seal(OWN, SUBJECT, b"said")
    assert await rig.identities.opened(SUBJECT, said) == b"said"
    await done(rig.store, Command("patchSpec", credential_path("s", "e"), {"revoked": True}))
    loop = asyncio.get_running_loop()
    later_s = loop.time() + KNOWN_S
    monkeypatch.setattr(loop, "time", lambda: later_s)
    assert "nobody of that name" in await rig.refusal(said)


async def test_reconcilers_hear_what_is_signed_and_nothing_else() -> None:
    rig, messages = await Rig.of(), MemoryMessages()
    heard: list[bytes] = []
    await Verified(messages, rig.identities, lambda *_: True).subscribe(
        "report.*.*", lambda _, body: heard.append(body)
    )
    agent = Signing(messages, OWN)
    for number in range(5):  # the first of them comes before it is known whose it is
        await agent.publish(SUBJECT, b"%d" % number)
    await until(lambda: len(heard) == 5)
    assert heard == [b"0", b"1", b"2", b"3", b"4"]
    await messages.publish(SUBJECT, b"unsigned")
    await Signing(messages, OTHER).publish(SUBJECT, b"another's")
    await Signing(messages, OTHER).publish(wire.report_subject("s", "f"), b"nobody's")
    await agent.publish(SUBJECT, b"last")
    await until(lambda: heard[-1] == b"last" and rig.metrics.counts["identities", "refused"] == 3)
    assert len(heard) == 6


async def test_what_a_replica_does_not_want_it_neither_hears_nor_checks() -> None:
    rig, messages, wanted = await Rig.of(count=7), MemoryMessages(), False
    heard: list[bytes] = []
    asked: list[tuple[str, str, int]] = []

    def wants(site: str, agent: str, edges: int) -> bool:
        asked.append((site, agent, edges))
        return wanted

    await Verified(messages, rig.identities, wants).subscribe("report.*.*", lambda _, body: heard.append(body))
    await Signing(messages, OWN).publish(SUBJECT, b"another's")
    await until(lambda: len(asked) == 1)
    await messages.publish(SUBJECT, b"forged")
    assert asked == [("s", "e", 7)] * 2
    assert rig.metrics.counts["identities", "refused"] == 0
    wanted = True
    await messages.publish(SUBJECT, b"forged")
    await Signing(messages, OWN).publish(SUBJECT, b"own")
    assert rig.metrics.counts["identities", "refused"] == 1
    assert heard == [b"own"]


@given(
    st.integers(1, 30), st.sampled_from(["e", "e-0", "e-1", "e-01", "e-29", "e-30", "e--1", "e-٣", "f-0", "e-0-0", ""])
)
def test_an_agent_speaks_for_its_own_edges_alone(count: int, edge: str) -> None:
    assert wire.is_hosted("e", edge, count) == (edge in wire.hosted_edges("e", count))
