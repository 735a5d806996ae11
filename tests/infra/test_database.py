"""The database server's accounts, each tried by its own operating system user."""

import pytest

from tests.support.lab import LabHost


def _sql(host: LabHost, user: str, statement: str) -> tuple[int, str]:
    done = host.run(f'runuser -u {user} -- mariadb -N -B cairn -e "{statement}"')
    return done.code, done.output


def test_the_web_account_reads(host: LabHost) -> None:
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
def test_the_web_account_cannot_write(host: LabHost, statement: str) -> None:
    code, output = _sql(host, "cairn-web", statement)
    assert code != 0
    assert "denied" in output


def test_the_listeners_account_writes_but_changes_no_table(host: LabHost) -> None:
    assert _sql(host, "cairn", "DELETE FROM blocks WHERE 1 = 0")[0] == 0
    for statement in ("CREATE TABLE intruder (a INT)", "DROP TABLE blocks"):
        code, output = _sql(host, "cairn", statement)
        assert code != 0
        assert "denied" in output


def test_the_migrations_account_changes_tables(host: LabHost) -> None:
    statement = "CREATE TABLE lab_trial (a INT); DROP TABLE lab_trial"
    assert _sql(host, "cairn-migrate", statement) == (0, "")


@pytest.mark.parametrize("account", ["cairn", "cairn-web", "cairn-migrate", "root"])
def test_no_account_is_anybody_elses(host: LabHost, account: str) -> None:
    done = host.run(f"runuser -u nobody -- mariadb -u {account} -e 'SELECT 1'")
    assert done.code != 0
    assert "denied" in done.output


def test_writes_are_durable(host: LabHost) -> None:
    names = "@@innodb_flush_log_at_trx_commit, @@innodb_doublewrite"
    assert host.check_output(f"mariadb -N -B -e 'SELECT {names}'").split() == ["1", "1"]
