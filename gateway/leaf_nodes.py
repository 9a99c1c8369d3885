"""`tendril edge leaf-config`: what a site's own nats-server is started with, so that its agents share one line to the hub.

Its key is made here. What it has to know of the hub's account is public and stands in the graph; it is a copy, which is as new
as the last time that this was asked for.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from datamodel.errors import Invalid
from datamodel.identity.authority import Authority
from datamodel.identity.claims import Template, subject_in
from datamodel.identity.credentials import Credential, read_credential, write_credential
from datamodel.identity.nkeys import Key
from datamodel.names import check_name
from datamodel.private import write_private
from datamodel.scheduling.credentials import ACCOUNT, leaf_path
from gateway.address import DEFAULT_URL
from gateway.commands.client import Client, Url
from gateway.commands.failure import Failure
from gateway.issuing import checked, put, say, seconds, signed

CONFIGURATION, CREDENTIAL, AUTHORITIES = "leaf.conf", "leaf.creds", "ca.pem"
OWN_KEYS, OWN_CREDENTIAL = "domain.json", "domain.creds"
_HUB_PORT, _PORT = 7422, 4222
_PING_S = 5
_GREETING_S = 10
"""A slow line needs more than the two seconds that are usual."""
_OWN = {"programs": Template(publish=[">"], subscribe=[">"])}
"""What the programs of a site may do in an account that is the site's alone."""


class Address(NamedTuple):
    """Of a server."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether nobody else can listen in."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def text(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Leaf(NamedTuple):
    """A site's own server. The files that it names lie beside its configuration, but for the certificate and its key, which are
    the site's."""

    site: str
    name: str
    hub: Address
    listen: Address
    certificate: Path | None = None
    key: Path | None = None
    authorities: bool = False
    """Whether a file says who vouches for the hub's certificate."""
    domain: str = ""

    def check(self) -> None:
        """Raises `Invalid` where a line would be open to others."""
        if (self.certificate is None) != (self.key is None):
            raise Invalid("--cert and --key go together", field="--cert")
        if self.certificate is None and not self.listen.is_loopback:
            raise Invalid(
                f"--listen: {self.listen.text} is for other machines, which takes TLS: give --cert and --key",
                field="--listen",
            )


def leaf_config(
    site: Annotated[str, Parameter(help="The site whose agents it is for.")],
    /,
    *,
    hub: Annotated[
        str,
        Parameter(
            env_var="TENDRIL_LEAF_URL",
            help="The hub's leafnode port: tls://HOST:7422, or nats-leaf:// on this machine.",
        ),
    ],
    name: Annotated[str, Parameter(help="What it is called in the graph.")] = "leaf",
    out: Annotated[Path | None, Parameter(help="The directory of its files; SITE-leaf.")] = None,
    listen: Annotated[str, Parameter(help="Where its agents find it.")] = f"127.0.0.1:{_PORT}",
    cert: Annotated[Path | None, Parameter(help="Its certificate, where its agents are on other machines.")] = None,
    key: Annotated[Path | None, Parameter(help="The certificate's key.")] = None,
    ca: Annotated[Path | None, Parameter(help="Who vouches for the hub's certificate; else the system.")] = None,
    domain: Annotated[str, Parameter(help="A JetStream domain for the site's own programs.")] = "",
    valid: Annotated[str, Parameter(help="How long its credential is good for.")] = "365d",
    url: Url = DEFAULT_URL,
) -> int:
    """Make a key for a site's own nats-server, have it signed, and write all that the server is started with. Asked again, it
    writes what is newer."""

    def make() -> None:
        leaf = Leaf(
            check_name(site),
            check_name(name),
            _hub(hub),
            address("--listen", listen, _PORT),
            cert,
            key,
            ca is not None,
            check_name(domain, "--domain") if domain else "",
        )
        leaf.check()
        _make(leaf, out if out is not None else Path(f"{site}-leaf"), ca, seconds(valid, "--valid"), url)

    return checked(make)


def _make(leaf: Leaf, out: Path, ca: Path | None, valid_s: int, url: str) -> None:
    authorities = ca.read_text(encoding="ascii") if ca is not None else ""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = out / CREDENTIAL
    kept = read_credential(file) if file.exists() else Credential(Key.new("user"))
    write_credential(file, kept)  # signed for, it must not be forgotten
    path = leaf_path(leaf.site, leaf.name)
    with Client(url) as client:
        put(client, f"/config/sites/{leaf.site}", {})
        spec = {"publicKey": kept.key.public, "validS": valid_s}
        status = signed(client, path, put(client, path, spec))["status"]
        account = client.find(ACCOUNT)
    if account is None or not account["status"].get("account"):
        raise Failure(
            "nobody has said what the server has to know", "do reconcilers run that were given TENDRIL_NATS_AUTHORITY?"
        )
    write_leaf(leaf, out, Credential(kept.key, status["jwt"]), account["status"], authorities)
    say(f"{out} has what {leaf.site}/{leaf.name} is started with; its credential is good until {status['expiresAt']}")
    say(f"start it with: cd {out} && nats-server --config {CONFIGURATION}")
    say(f"it connects to the leafnode port {leaf.hub.text} of the hub, which must be open to it")


def write_leaf(
    leaf: Leaf, out: Path, credential: Credential, account: Mapping[str, str], authorities: str = ""
) -> None:
    """Writes all that its server is started with into a directory that is there. Raises `OSError`."""
    now = datetime.now(UTC)
    own = Authority.kept(out / OWN_KEYS, _OWN) if leaf.domain else None
    if own is not None and not (out / OWN_CREDENTIAL).exists():
        programs = Key.new("user")
        jwt = own.sign("programs", programs.public, "programs", now, expires=None)
        write_credential(out / OWN_CREDENTIAL, Credential(programs, jwt))
    if authorities:
        write_private(out / AUTHORITIES, authorities)
    write_credential(out / CREDENTIAL, credential)
    made = configuration(leaf, account, own, now)
    write_private(out / CONFIGURATION, msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n")


def configuration(leaf: Leaf, account: Mapping[str, str], own: Authority | None, now: datetime) -> dict[str, object]:
    """What nats-server reads, whose syntax includes JSON. `account` is the status of the graph's node of it; `own` signs for
    the site's own programs, where it has a domain."""
    known, system = (subject_in(account[name]) for name in ("account", "systemAccount"))
    remote: dict[str, object] = {
        "url": f"nats-leaf://{leaf.hub.text}",
        "account": known,
        "credentials": CREDENTIAL,
        # Else it would go wherever the hub's server says, which knows nothing of what stands between them.
        "ignore_discovered_servers": True,
    }
    operators, accounts = [account["operator"]], {known: account["account"], system: account["systemAccount"]}
    if own is not None:
        operators.append(own.operator_jwt(now))
        accounts[own.account] = own.account_jwt(now, {})
    if not leaf.hub.is_loopback or leaf.authorities:
        remote["tls"] = {"timeout": _GREETING_S} | ({"ca_file": AUTHORITIES} if leaf.authorities else {})
    made: dict[str, object] = {
        "server_name": f"{leaf.site}-{leaf.name}",
        "listen": leaf.listen.text,
        "pid_file": "nats-server.pid",
        "ping_interval": f"{_PING_S}s",
        "operator": operators,
        "system_account": system,
        "resolver": "MEMORY",
        "resolver_preload": accounts,
        "leafnodes": {"remotes": [remote]},
        # Else nothing of JetStream passes to the hub, whose streams agents read.
        "default_js_domain": {known: ""},
    }
    if leaf.certificate is not None:
        made["tls"] = {"cert_file": str(leaf.certificate), "key_file": str(leaf.key)}
    if leaf.domain:
        made["jetstream"] = {"domain": leaf.domain, "store_dir": "."}
    return made


def _hub(text: str) -> Address:
    """Raises `Invalid` where the line to it would not be secured."""
    parts = urlsplit(text)
    if parts.scheme not in ("tls", "nats-leaf") or "@" in parts.netloc:
        raise Invalid(f"--hub: {text!r} is no address of a hub: write it as tls://HOST:{_HUB_PORT}", field="--hub")
    found = address("--hub", parts.netloc, _HUB_PORT)
    if parts.scheme == "nats-leaf" and not found.is_loopback:
        raise Invalid(f"--hub: {found.host} is another machine: write it as tls://{found.text}", field="--hub")
    return found


def address(option: str, text: str, port: int) -> Address:
    """HOST:PORT, or HOST alone, whose port is this one then. Raises `Invalid` that names the option."""
    try:
        parts = urlsplit(f"//{text}")
        host, said = parts.hostname, parts.port
    except ValueError:
        host = said = None
    if not host or parts.path:
        raise Invalid(f"{option}: {text!r} is no HOST:PORT", field=option)
    return Address(host, port if said is None else said)
