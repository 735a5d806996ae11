"""The database server's accounts, each tried by its own operating system user."""

import pytest
from testinfra.host import Host


def _sql(host: Host, user: str, statement: str) -> tuple[int, str]:
    done = host.run("runuser -u %s -- mariadb -N -B cairn -e %s", user, statement)
    return done.rc, (done.stdout + done.stderr).strip()


def test_the_web_account_reads(host: Host) -> None:
    code, output = _sql(host, "cairn-web", "SELECT COUNT(*) FROM blocks")
    assert code == 0
    assert int(output) > 0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM blocks WHERE 1 = 0",
        "UPDATE blocks SET height = height WHERE 1 = 0",
        "INSERT INTO blocks SELECT * FROM blocks WHERE 1 = 0",
        "CREATE TABLE intruder (a INT)",
        "DROP TABLE blocks",
        "TRUNCATE TABLE blocks",
        "GRANT ALL ON cairn.* TO CURRENT_USER",
    ],
)
def test_the_web_account_cannot_write(host: Host, statement: str) -> None:
    code, output = _sql(host, "cairn-web", statement)
    assert code != 0
    assert "denied" in output


def test_the_listeners_account_writes_but_changes_no_table(host: Host) -> None:
    assert _sql(host, "cairn", "DELETE FROM blocks WHERE 1 = 0")[0] == 0
    for statement in ("CREATE TABLE intruder (a INT)", "DROP TABLE blocks"):
        code, output = _sql(host, "cairn", statement)
        assert code != 0
        assert "denied" in output


def test_the_migrations_account_changes_tables(host: Host) -> None:
    statement = "CREATE TABLE lab_trial (a INT); DROP TABLE lab_trial"
    assert _sql(host, "cairn-migrate", statement) == (0, "")


@pytest.mark.parametrize("account", ["cairn", "cairn-web", "cairn-migrate", "root"])
def test_no_account_is_anybody_elses(host: Host, account: str) -> None:
    done = host.run("runuser -u nobody -- mariadb -u %s -e 'SELECT 1'", account)
    assert done.rc != 0
    assert "denied" in done.stderr


def test_writes_are_durable(host: Host) -> None:
    names = "@@innodb_flush_log_at_trx_commit, @@innodb_doublewrite"
    assert host.check_output(f"mariadb -N -B -e 'SELECT {names}'").split() == ["1", "1"]


def test_the_server_runs_and_listens_at_a_socket_only(host: Host) -> None:
    assert host.service("mariadb").is_running
    assert host.socket("unix:///run/mysqld/mysqld.sock").is_listening
    assert not host.socket("tcp://3306").is_listening
    assert not host.socket("tcp://127.0.0.1:3306").is_listening
