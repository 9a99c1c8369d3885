"""Logs as they were written once, which stay readable for ever. Open first `README.md`."""
