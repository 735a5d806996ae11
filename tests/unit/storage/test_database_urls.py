"""Which database URLs are taken, and what is said of the others."""

import pytest

from cairn.storage.engine import parse_url
from cairn.storage.errors import StorageError


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/cairn/cairn.db",
        "sqlite:///relative.db",
        "mysql+mysqldb://user:secret@db.example/cairn",
        "mysql://user@localhost/cairn?unix_socket=/run/mysqld/mysqld.sock",
        "mariadb+mysqldb://user@localhost/cairn",
    ],
)
def test_takes_sqlite_files_and_mysql_servers(url: str) -> None:
    assert parse_url(url).database


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "cannot be read"),
        ("/var/lib/cairn.db", "cannot be read"),
        ("nonsense://user@host/name", "cannot be read"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:///file:x?mode=memory", "takes a path alone"),
        ("sqlite:///file:x", "must be a file"),
        ("sqlite://host/path", "takes a path alone"),
        ("postgresql://user@host/cairn", "no support for postgresql"),
        ("mysql+pymysql://user@host/cairn", "no support for mysql\\+pymysql"),
        ("mysql+mysqldb://user@host", "names no database"),
    ],
)
def test_refuses_other_urls_and_shows_one_that_works(url: str, reason: str) -> None:
    with pytest.raises(StorageError, match=f"{reason}.*: use sqlite:////") as caught:
        parse_url(url)
    assert "mysql+mysqldb://" in str(caught.value)


def test_does_not_tell_the_password() -> None:
    with pytest.raises(StorageError) as caught:
        parse_url("postgresql://user:secret@host/cairn")
    assert "secret" not in str(caught.value)
