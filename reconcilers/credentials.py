"""credentials: what agents, tokens and leaf nodes are known by → signed, renewed in time, and revoked at the servers.

Only who has the authority's keys runs this. Where nobody has, credentials stay pending, what was signed is good until it
expires, and the servers let in until then what is revoked.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import structlog

from datamodel.appender import Appender
from datamodel.command import Actor, Command, Fence, Unit
from datamodel.errors import Invalid
from datamodel.identity.accounts import Accounts
from datamodel.identity.authority import Authority
from datamodel.identity.claims import is_same_account, revoked_in
from datamodel.kinds import SYSTEM, Document
from datamodel.names import last_name
from datamodel.node import Node
from datamodel.ports import Change, Store
from datamodel.reads import Reads
from datamodel.scheduling.credentials import ACCOUNT, ISSUER, REFUSED, REVOKED, SIGNED
from datamodel.scheduling.permissions import AT_LEAVES
from reconcilers.planning.credentials import Plan, is_worth_something, plan_of, rivals, shared_edge
from reconcilers.runtime.controller import Wake, Watch

PAGE = 1_000
KEPT = "account"
"""The key under which the servers are told what roles may do."""
REMEMBERED_S = 2 * 366 * 86_400
"""After so long nothing is left that was signed before a revocation."""
ACTOR = Actor("credentials", SYSTEM)
KINDS = ("Credential", "JoinToken", "LeafNode")
COPIED = 1_000
"""Of what was revoked, leaf nodes are told so many, the newest: a node has its bounds, and who they let in is not believed."""
_log = structlog.get_logger("credentials")


class Issuing(NamedTuple):
    """What it takes to give credentials out."""

    authority: Authority
    accounts: Accounts


class Credentials:
    """Follows what is asked of credentials, tokens and leaf nodes. The key is the node's path, or `account`."""

    name = "credentials"
    shards = 1
    resync_s = 300.0

    def __init__(
        self,
        store: Store,
        appender: Appender,
        reads: Reads,
        authority: Authority,
        accounts: Accounts,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._appender = appender
        self._reads = reads
        self._authority = authority
        self._accounts = accounts
        self._clock = clock
        self._issuers = {role: authority.issuer(role) for role in authority.roles}

    @property
    def watches(self) -> Mapping[str, Watch]:
        return dict.fromkeys(KINDS, _on_change)

    async def keys(self) -> list[str]:
        return [KEPT, *[node.path for kind in KINDS async for node in self._all(kind)]]

    async def reconcile(self, key: str, fence: Fence) -> float | None:
        if key == KEPT:
            await self._keep_account({}, fence)
            return None
        node = await self._reads.node(key)
        if node is None:
            return None
        now = self._clock()
        plan = plan_of(node, self._issuers, now)
        if plan.revoke:
            await self._keep_account(plan.revoke, fence)
        if node.deletion_requested_at is not None:
            if ISSUER in node.finalizers:
                await self._write(fence, Command("finalize", key, {"finalizer": ISSUER}))
            return None
        if plan.issue is not None and (taken := await self._taken(node)):
            plan = plan._replace(issue=None, refused=taken)
        told = self._status(node, plan, now)
        if {name: node.status.get(name) for name in told} != told:
            await self._write(fence, Command("patchStatus", key, told, expected_version=node.version))
            _log.info("a credential changed", path=key, phase=told["phase"], reason=told["reason"])
        return plan.again_s

    async def _taken(self, node: Node) -> str:
        """Which of its edges another agent speaks for; empty where none does. Who was signed for first has them."""
        found = await self._store.nodes(rivals(node))
        for rival in found.values():
            if rival.phase == SIGNED and is_worth_something(rival) and (edge := shared_edge(node, rival)):
                return f"the edge {edge} is that of the agent {last_name(rival.path)}"
        return ""

    def _status(self, node: Node, plan: Plan, now: datetime) -> Document:
        told: Document = {"observedGeneration": node.generation, "reason": plan.refused}
        if plan.refused:
            return told | {"phase": REFUSED, "jwt": ""}
        if node.spec["revoked"]:
            return told | {"phase": REVOKED, "jwt": "", "reason": "it was revoked"}
        if plan.issue is None:
            return told | {"phase": SIGNED}
        (role, name, tags), public, expires = plan.issue
        try:
            jwt = self._authority.sign(role, public, name, now, expires=expires, tags=tags)
        except Invalid as error:
            return told | {"phase": REFUSED, "jwt": "", "reason": error.message}
        times: Document = {"issuedAt": now.isoformat(), "expiresAt": expires.isoformat()}
        if node.kind == "JoinToken" and node.status.get("publicKey") != public:
            times = times | {"used": 0}  # it is another one, of the same name
        return told | {"phase": SIGNED, "jwt": jwt, "publicKey": public, "issuer": self._issuers[role]} | times

    async def _keep_account(self, revoke: Mapping[str, int], fence: Fence) -> None:
        """The servers know what roles may do, and up to when all that was signed for these keys is worth nothing. What they
        know already to be revoked stays so for as long as it could matter: a credential that was deleted is known to nobody
        else."""
        present, now = await self._accounts.present(), self._clock()
        known = revoked_in(present) if present else {}
        oldest = int(now.timestamp()) - REMEMBERED_S
        kept = {key: at for key, at in known.items() if at > oldest}
        revoked = kept | {key: max(at, kept.get(key, 0)) for key, at in revoke.items()}
        wanted = self._authority.account_jwt(now, revoked)
        if not present or not is_same_account(present, wanted):
            await self._accounts.tell(wanted)
            _log.info("the servers were told of the account", revoked=len(revoked))
        newest = sorted(revoked, key=lambda public: (revoked[public], public))[-COPIED:]
        await self._keep_copy({public: revoked[public] for public in newest}, now, fence)

    async def _keep_copy(self, revoked: Mapping[str, int], now: datetime, fence: Fence) -> None:
        """What leaf nodes have to know stands in the graph."""
        node, authority = await self._reads.node(ACCOUNT), self._authority
        jwts = {
            "operator": authority.operator_jwt(now),
            "systemAccount": authority.system_account_jwt(now),
            "account": authority.account_jwt(now, revoked, roles=AT_LEAVES),
        }
        present = node.status if node is not None else {}
        changed = {
            name: jwt for name, jwt in jwts.items() if not present.get(name) or not is_same_account(present[name], jwt)
        }
        if changed:
            made = (Command("create", ACCOUNT),) if node is None else ()
            await self._write(fence, *made, Command("patchStatus", ACCOUNT, changed))

    async def _all(self, kind: str) -> AsyncIterator[Node]:
        after = ""
        while found := await self._store.list_nodes(kind, after=after, limit=PAGE):
            for node in found:
                yield node
            after = found[-1].path

    async def _write(self, fence: Fence, *commands: Command) -> None:
        await self._appender.write(Unit(commands, ACTOR, fence=fence))


def _on_change(change: Change) -> Iterable[Wake]:
    return (Wake(change.path),)
