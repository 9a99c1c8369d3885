"""What looks like a credential."""

import time

import pytest

from gateway.fronts.credentials import is_credential


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_TOKEN", "x"),
        ("HADES_TEST_PASSWORD", "x"),
        ("clientSecret", "x"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("SSH_PRIVATE", "x"),
        ("X_AUTH", "x"),
        ("DB_PWD", "x"),
        ("PGPASS", "x"),
        ("DATABASE_URL", "postgres://user:pass@db:5432/app"),
        ("CACHE", "redis://:pass@cache"),
        ("REPO", "https://ghp_abc@github.com/org/repo.git"),
        ("PEM", "-----BEGIN RSA PRIVATE KEY-----\n…"),
        ("HEADER", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"),
    ],
)
def test_these_are(name: str, value: str) -> None:
    assert is_credential(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GLOBAL", "test"),
        ("REPO_URL", "https://github.com/org/repo.git"),
        ("SSH_URL", "ssh://git@github.com/org/repo.git"),
        ("GIT_COMMIT", "3f786850e387550fdab836ed7e6dc881de23001b"),
        ("MAIL", "someone@example.org"),
        ("PATH_AT", "https://h/a@b"),
        ("TOKEN", ""),
    ],
)
def test_these_are_not(name: str, value: str) -> None:
    assert not is_credential(name, value)


@pytest.mark.parametrize("piece", ["eyJ", "eyJaaaaaa.", "://", "://a:", "http://", "https://a", "-----BEGI", "a:b"])
def test_a_long_value_is_looked_at_in_no_time(piece: str) -> None:
    began = time.process_time()
    is_credential("A", piece * (32_768 // len(piece)))
    assert time.process_time() - began < 0.2
