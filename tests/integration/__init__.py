"""Tests with the real Postgres and NATS, which run as children of the test run."""
