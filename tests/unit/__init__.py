"""Tests of what is pure: no server, no process, no clock."""
