"""Alembic's migrations of the store, and the seeds of the model: what must be there before any program starts.

`python -m migrations` brings the database of `TENDRIL_DATABASE_URL` to the newest version. Open first `upgrade.py`.
"""
