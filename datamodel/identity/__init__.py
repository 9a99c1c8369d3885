"""Who somebody is to NATS: keys (`nkeys.py`), what is signed with them (`claims.py`), what a program has to show
(`credentials.py`), and who gives that out (`authority.py`).

Nothing here knows which subjects there are: what a role may do is its user's to say.
"""
