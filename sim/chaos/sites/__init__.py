"""Sites on the far side of a WAN: each is a network namespace with a line to the hub's, and agents of its own inside.

Belongs here: namespaces, lines and what can be done to them, the agents there, the certificate that the hub shows. Does not:
which harm is done when, which is in `faults/`.

A site has its own loopback address, and everything in it shares one line: a router of the site's own is one more program in its
namespace. Open first `network.py`, then `site.py`.
"""
