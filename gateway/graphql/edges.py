"""What GraphQL has for edges beside their kinds: what operators ask of them."""

from collections.abc import Mapping
from typing import Any

from strawberry.types.field import StrawberryField

from datamodel.errors import TendrilError
from datamodel.names import check_name
from gateway.adoption import SUMMARY, adopt
from gateway.edges import INTENTS, SUMMARIES, ask_of_edge
from gateway.graphql.context import Info
from gateway.graphql.mutations import argument_errors, mutation, payload, replay_guard
from gateway.graphql.objects import plain
from gateway.words import WORDS, say_of_edge

NAMES: Mapping[str, str] = {"lost": "giveUpEdge", "off": "declareEdgeOff"}
"""By word, the mutation that says it."""


def edge_mutations(types: Mapping[str, Any]) -> list[StrawberryField]:
    """`cordonEdge`, `drainEdge` and `uncordonEdge`; what operators know of edges; and `adoptAttempt`."""
    return [
        *(_verb_mutation(verb, types["EdgeConfig"]) for verb in INTENTS),
        *(_word_mutation(says, types["EdgeConfig"]) for says in WORDS),
        _adopt_mutation(types["Attempt"]),
    ]


def _word_mutation(says: str, config_type: Any) -> StrawberryField:
    name = NAMES[says]

    async def say(info: Info, site: str, edge: str, reason: str = "", idempotency_key: str | None = None) -> Any:
        key, digest = replay_guard(name, idempotency_key, [site, edge, reason])
        try:
            site, edge = check_name(site, "/site"), check_name(edge, "/edge")
            config = await say_of_edge(info.context.backend, site, edge, says, reason, key=key, digest=digest)
        except TendrilError as error:
            return {"edgeConfig": None, "userErrors": argument_errors(error, ("/site", "/edge", "/reason"), "/edge")}
        return {"edgeConfig": config, "userErrors": ()}

    say.__doc__ = f"{WORDS[says]}."
    done = payload(f"{name[0].upper()}{name[1:]}Payload", plain("edgeConfig", config_type | None))
    return mutation(name, done, say)


def _adopt_mutation(attempt_type: Any) -> StrawberryField:
    async def do(info: Info, site: str, edge: str, attempt: str, idempotency_key: str | None = None) -> Any:
        key, digest = replay_guard("adoptAttempt", idempotency_key, [site, edge, attempt])
        try:
            site, edge = check_name(site, "/site"), check_name(edge, "/edge")
            name = check_name(attempt, "/attempt")
            node = await adopt(info.context.backend, site, edge, name, key=key, digest=digest)
        except TendrilError as error:
            errors = argument_errors(error, ("/site", "/edge", "/attempt"), "/attempt")
            return {"attempt": None, "userErrors": errors}
        return {"attempt": node, "userErrors": ()}

    do.__doc__ = f"{SUMMARY}."
    return mutation("adoptAttempt", payload("AdoptAttemptPayload", plain("attempt", attempt_type | None)), do)


def _verb_mutation(verb: str, config_type: Any) -> StrawberryField:
    async def ask(info: Info, site: str, edge: str, grace_s: int = 0, idempotency_key: str | None = None) -> Any:
        key, digest = replay_guard(f"{verb}Edge", idempotency_key, [site, edge, grace_s])
        try:
            site, edge = check_name(site, "/site"), check_name(edge, "/edge")
            config = await ask_of_edge(info.context.backend, site, edge, verb, grace_s, key=key, digest=digest)
        except TendrilError as error:
            errors = argument_errors(error, ("/site", "/edge", "/graceS"), "/edge")
            return {"edgeConfig": None, "userErrors": errors}
        return {"edgeConfig": config, "userErrors": ()}

    async def ask_at_once(info: Info, site: str, edge: str, idempotency_key: str | None = None) -> Any:
        return await ask(info, site, edge, 0, idempotency_key)

    do = ask if verb == "drain" else ask_at_once
    do.__doc__ = f"{SUMMARIES[verb]}."
    done = payload(f"{verb.capitalize()}EdgePayload", plain("edgeConfig", config_type | None))
    return mutation(f"{verb}Edge", done, do)
