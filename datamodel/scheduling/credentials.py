"""Which agents there are, by their keys, and what lets new ones join. Only public halves of keys stand here."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from datamodel.errors import Invalid
from datamodel.identity.nkeys import check_public
from datamodel.kinds import SYSTEM, Column, Grant, Kind, Part
from datamodel.scheduling.moments import Moment
from datamodel.scheduling.planes import CONFIG, Config
from datamodel.scheduling.service import SiteConfig
from datamodel.scheduling.wire import GROUP_LIMIT

PENDING, SIGNED, REVOKED, REFUSED = "pending", "signed", "revoked", "refused"
ISSUER = "credentials"
"""The finalizer of what was signed: it goes once the servers know that it is worth nothing."""
VALID_S = 30 * 86_400
LEAF_VALID_S = 365 * 86_400
"""Of a site's own server, beside which no program of ours asks for another one."""
ACCOUNT = "/config/accounts/nats"
USES_LIMIT = 100_000


def _is_a_users(text: str) -> str:
    try:
        return check_public(text, "user")
    except Invalid as error:
        raise ValueError(error.message) from error


PublicKey = Annotated[
    str,
    Field(min_length=56, max_length=56, description="the public half of an nkey of a user, as NATS writes it"),
    AfterValidator(_is_a_users),
]
Valid = Annotated[
    int, Field(ge=30, le=366 * 86_400, description="seconds that what is signed is good for; it is renewed before")
]
Phase = Literal["pending", "signed", "revoked", "refused"]


class CredentialSpec(Part):
    """Whose key it is, and for how many edges."""

    public_key: PublicKey
    count: Annotated[int, Field(ge=1, le=GROUP_LIMIT, description="how many edges the agent hosts, as EDGE_COUNT")] = 1
    valid_s: Valid = VALID_S
    revoked: bool = False


class CredentialStatus(Part):
    """What was signed for it. It is of no use to who has not the key."""

    phase: Phase = "pending"
    jwt: str = ""
    public_key: str = ""
    issuer: str = ""
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    reason: str = ""
    observed_generation: int = 0


class Credential(Kind):
    """What an agent of a site shows to NATS, and signs what it tells with; it has the agent's name."""

    plane, parent, segment = CONFIG, SiteConfig, "credentials"
    Spec = CredentialSpec
    Status = CredentialStatus
    selectable = ("status.phase",)
    finalizers = (ISSUER,)
    grants = {SYSTEM: Grant(frozenset({"create"}))}
    """Of agents that join by a token."""
    columns = (
        Column("phase", "status.phase"),
        Column("edges", "spec.count", "number"),
        Column("issued", "status.issuedAt", "age"),
        Column("expires", "status.expiresAt"),
        Column("reason", "status.reason"),
    )
    examples = ({"publicKey": "UBQRQBKW2LPUL5HZSFHZ2ZZ4NYHJB3PSZG5PLFMALMOII3GERMM6BRJT", "count": 3},)


class JoinTokenSpec(Part):
    """Who has the private half of the key may make so many agents known, until then."""

    public_key: PublicKey
    expires_at: Moment
    uses: Annotated[int, Field(ge=1, le=USES_LIMIT, description="how many agents may join by it")] = 1
    max_edges: Annotated[int, Field(ge=1, le=GROUP_LIMIT, description="the most edges of each")] = GROUP_LIMIT
    valid_s: Valid = VALID_S
    revoked: bool = False


class JoinTokenStatus(CredentialStatus):
    """What was signed for it, and how many have joined by it."""

    used: int = 0


class JoinToken(Kind):
    """What lets agents join a site by themselves."""

    plane, parent, segment = CONFIG, SiteConfig, "join-tokens"
    Spec = JoinTokenSpec
    Status = JoinTokenStatus
    selectable = ("status.phase",)
    finalizers = (ISSUER,)
    columns = (
        Column("phase", "status.phase"),
        Column("used", "status.used", "number"),
        Column("uses", "spec.uses", "number"),
        Column("expires", "spec.expiresAt"),
    )
    examples = (
        {
            "publicKey": "UBQRQBKW2LPUL5HZSFHZ2ZZ4NYHJB3PSZG5PLFMALMOII3GERMM6BRJT",
            "expiresAt": "2026-01-31T12:00:00Z",
            "uses": 100,
        },
    )


class LeafNodeSpec(Part):
    """Whose key it is."""

    public_key: PublicKey
    valid_s: Valid = LEAF_VALID_S
    revoked: bool = False


class LeafNode(Kind):
    """A site's own server, which passes on what its agents say and hear."""

    plane, parent, segment = CONFIG, SiteConfig, "leaf-nodes"
    Spec = LeafNodeSpec
    Status = CredentialStatus
    selectable = ("status.phase",)
    finalizers = (ISSUER,)
    columns = (
        Column("phase", "status.phase"),
        Column("issued", "status.issuedAt", "age"),
        Column("expires", "status.expiresAt"),
        Column("reason", "status.reason"),
    )
    examples = ({"publicKey": "UBQRQBKW2LPUL5HZSFHZ2ZZ4NYHJB3PSZG5PLFMALMOII3GERMM6BRJT"},)


class AccountStatus(Part):
    """JWTs, which are no secrets."""

    operator: str = ""
    system_account: str = ""
    account: str = ""


class Account(Kind):
    """What servers of sites have to know to let agents in: who signs, and what was revoked last."""

    plane, parent, segment = CONFIG, Config, "accounts"
    Status = AccountStatus
    grants = {SYSTEM: Grant(frozenset({"create"}))}


def credential_path(site: str, agent: str) -> str:
    return f"/config/sites/{site}/credentials/{agent}"


def token_path(site: str, token: str) -> str:
    return f"/config/sites/{site}/join-tokens/{token}"


def leaf_path(site: str, leaf: str) -> str:
    return f"/config/sites/{site}/leaf-nodes/{leaf}"


def holder_of(path: str) -> tuple[str, str]:
    """The site and the name of a credential, a token or a leaf node."""
    _, _, _, site, _, name = path.split("/")
    return site, name
