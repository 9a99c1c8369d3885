"""Who an agent is to NATS: it joins by a token where it has no credential, and shows what is signed for it anew before that is
needed. Its key is made here, and stays here."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from agents.desk import Desk
from agents.settings import Settings
from datamodel.errors import Forbidden, Invalid, TendrilError, Transient
from datamodel.feed.access import Access
from datamodel.feed.bus import Bus, connect, honour_cancellation
from datamodel.identity.claims import User, read_user
from datamodel.identity.credentials import Credential, read_credential, write_credential
from datamodel.identity.envelope import seal
from datamodel.identity.nkeys import Key
from datamodel.scheduling.joining import (
    UNREADABLE,
    WIRE_VERSION,
    Join,
    Joined,
    Token,
    decode_joined,
    encode,
    join_subject,
    joined_subject,
)
from datamodel.scheduling.permissions import standing

ASK_S = 1.0
RENEWED_AFTER = 0.65
"""Of the time that a credential is good for: the hub has signed another one a little before."""
ASKED_OFTEN = 0.02
"""Of that time, how often the hub is asked from then on."""
ASKED_S = (1.0, 3600.0)
_log = structlog.get_logger("identity")


async def enrolled(settings: Settings) -> Access:
    """How the agent connects, once it has a credential: the one in its file, or else one that it asks for by its token. Raises
    `Invalid` where there is neither, or it is another's, and `Forbidden` where it may not join."""
    site, agent, edges = settings.edge_site, settings.edge_name, settings.edges
    credential = _kept(settings)
    token = settings.join_token() if not credential.jwt or _has_expired(credential) else None
    if token is not None:
        if token.site != site:
            raise Invalid(f"the token is for the site {token.site}, and this agent is of {site}")
        write_credential(settings.creds, Credential(credential.key))  # asked with, it must not be forgotten
        access = Access(settings.tendril_nats_url, token.credential, settings.tendril_nats_ca)
        jwt = await _join(access, token, credential.key, Join(WIRE_VERSION, agent, credential.key.public, len(edges)))
        credential = Credential(credential.key, jwt)
        write_credential(settings.creds, credential)
        _log.info("joined", site=site, agent=agent, by=token.name)
    if not credential.jwt:
        raise Invalid(
            f"{settings.creds} has no credential: enroll the agent with `tendril edge enroll`, or set EDGE_JOIN_TOKEN_FILE"
        )
    check_standing(credential, site, agent, edges)
    return settings.nats


def check_standing(credential: Credential, site: str, agent: str, edges: Sequence[str]) -> None:
    """Raises `Invalid` where a credential is not of the agent that hosts these edges: the server would refuse all that it says,
    and nothing else would tell."""
    user, wanted = credential.user, standing(site, agent, edges)
    if set(user.tags) != set(wanted.tags):
        raise Invalid(
            f"the credential is of {user.name} ({', '.join(user.tags)}), and this is {wanted.name} with {len(edges)} edges"
        )


async def keep_renewed(settings: Settings, desk: Desk, bus: Bus) -> None:
    """Shows what was signed anew, in time, on a new connection: what is under way is sent again by who sent it. Runs until it
    is cancelled."""
    credential = read_credential(settings.creds)
    while True:
        await asyncio.sleep(_until_asked_s(credential.user))
        try:
            jwt = await desk.renewed()
            if jwt and jwt != credential.jwt and read_user(jwt).public == credential.key.public:
                write_credential(settings.creds, renewed := Credential(credential.key, jwt))
                credential = renewed
                _log.info("the credential was renewed")
                await bus.renew()
        except (TendrilError, OSError) as error:
            _log.warning("the credential is not renewed yet", error=str(error))
        honour_cancellation()


def _until_asked_s(user: User) -> float:
    if not user.expires:
        return ASKED_S[1]
    life_s = user.expires - user.issued
    left_s = user.issued + RENEWED_AFTER * life_s - datetime.now(UTC).timestamp()
    least_s, most_s = ASKED_S
    return max(left_s, min(most_s, max(least_s, ASKED_OFTEN * life_s)))


def _kept(settings: Settings) -> Credential:
    """The credential that is there; a new key where there is none. Raises `Invalid`."""
    if settings.creds.exists():
        return read_credential(settings.creds)
    try:
        settings.creds.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Invalid(f"{settings.creds.parent} cannot be made: {error.strerror}", field="EDGE_HOME") from error
    return Credential(Key.new("user"))


def _has_expired(credential: Credential) -> bool:
    expires = credential.user.expires
    return bool(expires) and expires <= datetime.now(UTC).timestamp()


async def _join(access: Access, token: Token, key: Key, join: Join) -> str:
    """The JWT that is signed for the key. Raises `Forbidden` where none is."""
    subject = join_subject(token.site, token.name)
    wish = seal(key, subject, encode(join))
    answered = asyncio.Event()
    answers: list[Joined] = []
    signed: list[str] = []

    def on_answer(_: str, body: bytes) -> None:
        try:
            answers.append(decode_joined(body))
        except UNREADABLE:
            _log.warning("an answer to the wish to join cannot be read")
        else:
            answered.set()

    async def ask() -> None:
        await bus.subscribe(joined_subject(token.site, token.name, key.public), on_answer)
        while True:
            answered.clear()
            try:
                await bus.publish(subject, wish)
                async with asyncio.timeout(ASK_S):
                    await answered.wait()
                    answer = answers.pop()
                    if answer.refused:
                        raise Forbidden(f"the hub does not let this agent join: {answer.refused}")
                    if answer.jwt and read_user(answer.jwt).public == key.public:
                        signed.append(answer.jwt)
                        return
                    await asyncio.sleep(ASK_S)  # it is being signed
            except TimeoutError:
                _log.info("waiting to join")
            honour_cancellation()

    async def ask_on() -> None:
        """Where the line is lost, until it is back, or is known to be lost for good."""
        while not signed:
            try:
                await ask()
            except Transient as error:
                _log.info("waiting to join", error=error.message)
                await asyncio.sleep(ASK_S)

    bus = await connect(access, f"joining {token.site}/{join.agent}")
    try:
        await bus.while_admitted(ask_on())
    finally:
        await bus.close()
    return signed[0]
