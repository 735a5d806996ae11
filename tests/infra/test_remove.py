"""Taking the node off a host, the last of all: it asks, and keys and a dump stay."""

_HEAD = "zcat /var/backups/cairn/*/database.sql.gz"
