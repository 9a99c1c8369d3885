"""What the hub shows to its sites: a certificate for this run, by an authority that only its programs are told to trust."""

from pathlib import Path

import trustme

from deploy.local.nats import Tls


def certified(directory: Path, *addresses: str) -> Tls:
    """One that is good for these addresses."""
    directory.mkdir(mode=0o700)
    authority = trustme.CA()
    issued = authority.issue_cert(*addresses)
    tls = Tls(directory / "certificate.pem", directory / "key.pem", directory / "authority.pem")
    issued.cert_chain_pems[0].write_to_path(str(tls.certificate))
    issued.private_key_pem.write_to_path(str(tls.key))
    authority.cert_pem.write_to_path(str(tls.ca))
    return tls
