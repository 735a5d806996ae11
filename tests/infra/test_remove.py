"""Taking the node off a host, the last of all: only for a yes, and keys and a dump stay."""

from tests.support.lab import Lab, play

KEPT = "/var/backups/cairn"


def test_only_a_yes_removes_and_keeps_keys_and_a_dump(lab: Lab) -> None:
    host = lab["node3"]
    command = ("playbooks/remove.yml", "--limit", host.name)

    # Without a terminal nobody can be asked, which is no yes; and another word is none either.
    for words in ((), ("-e", "answer=yes")):
        refused = play(*command, *words)
        assert refused.returncode != 0
        assert "Nothing was removed." in refused.stdout, refused.stdout[-3000:]
    assert host.is_ready()
    assert not host.inside.file(KEPT).exists

    sums = "cd {} && sha256sum keys/* cairn.toml genesis.toml"
    before = host.check_output(sums.format("/etc/cairn"))
    done = play(*command, "-e", "answer=remove")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]

    (kept,) = host.inside.file(KEPT).listdir()
    assert host.inside.file(KEPT).mode == 0o700
    assert host.check_output(sums.format(f"{KEPT}/{kept}/etc")) == before
    modes = host.check_output(f"stat -c '%U %a' {KEPT}/{kept}/etc/keys/*").splitlines()
    assert set(modes) == {"root 600"}
    rows = "INSERT INTO `blocks`"
    assert rows in host.check_output(
        f"zcat {KEPT}/{kept}/database.sql.gz | grep -o '{rows}' | head -1"
    )

    gone = ("/etc/cairn", "/srv/cairn", "/usr/local/lib/cairn", "/etc/nginx/conf.d/cairn.conf")
    for path in gone:
        assert not host.inside.file(path).exists, path
    assert host.run("systemctl cat cairn-listener.service").code != 0
    assert host.check_output("systemctl list-units --state=failed --no-legend") == ""
    assert lab["node1"].is_ready()
