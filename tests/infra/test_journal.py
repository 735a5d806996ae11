"""The journal: kept within bounds, and without errors since the host started."""

import json

from testinfra.host import Host

# Reported as errors and none: who reports them, a part of the words, and why that stays.
_KNOWN = (
    # Debian's package says this while it is installed, and not again. It warns of an option that is
    # without effect where no binary log is kept, and the journal takes all of its words for errors.
    ("mariadb-server.postinst", "[Warning] You need to use --log-bin"),
    # Anybody who connects and goes, as a scan of the ports does, is an error to sshd.
    ("sshd", "error: kex_exchange_identification: "),
)


def _is_known(entry: dict[str, object]) -> bool:
    identifier, message = entry.get("SYSLOG_IDENTIFIER"), str(entry.get("MESSAGE"))
    return any(identifier == who and part in message for who, part in _KNOWN)


def test_nothing_logs_an_error_since_boot(host: Host) -> None:
    listed = host.check_output("journalctl -b -q --no-pager -p err -o json").splitlines()
    entries = [entry for entry in map(json.loads, listed) if not _is_known(entry)]
    fields = ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "MESSAGE")
    assert [[entry.get(field) for field in fields] for entry in entries] == []


def test_it_stays_over_reboots_and_is_bounded(host: Host) -> None:
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf").splitlines()
    assert "Storage=persistent" in settings
    assert "SystemMaxUse=1024M" in settings
    assert host.file("/var/log/journal").is_directory
