"""Whole processes, as a user starts them: `python -m deploy.local` and the public API, nothing else."""
