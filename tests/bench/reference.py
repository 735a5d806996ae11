"""What the machine gives by itself, with no code of Cairn's: the yardstick of a run."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.bench.measure import Figure, milliseconds, rate

_ROWS = 2_000


def machine_figures(folder: Path, mariadb_url: str) -> Iterator[Figure]:
    """Hashing, OpenSSL's verification, the disk's flush, MariaDB's inserts."""
    header = bytes(96)
    yield Figure("SHA-256d of 96 bytes (hashlib)", rate(lambda: _hash(header)), "/s")
    yield Figure("P-256 verification, key loaded (OpenSSL)", rate(_verifier()), "/s")
    yield Figure("write and flush 4 KiB to disk, median", _flush_milliseconds(folder), "ms")
    yield from _database_figures(mariadb_url)


def _hash(header: bytes, count: int = 100_000) -> int:
    for _ in range(count):
        sha256(sha256(header).digest()).digest()
    return count


def _verifier(count: int = 2_000):  # type: ignore[no-untyped-def]
    key = ec.generate_private_key(ec.SECP256R1())
    message = bytes(200)
    signature = key.sign(message, ec.ECDSA(SHA256()))
    public = key.public_key()

    def verify() -> int:
        for _ in range(count):
            public.verify(signature, message, ec.ECDSA(SHA256()))
        return count

    return verify


def _flush_milliseconds(folder: Path) -> float:
    with (folder / "flush").open("wb", buffering=0) as file:

        def write() -> None:
            file.write(bytes(4_096))
            os.fdatasync(file.fileno())

        return milliseconds(write, 200)


def _database_figures(url: str) -> Iterator[Figure]:
    engine = sa.create_engine(url)
    table = sa.Table(
        "bench_reference",
        sa.MetaData(),
        sa.Column("id", sa.BINARY(32), primary_key=True),
        sa.Column("payload", sa.LargeBinary(200)),
    )
    table.create(engine)
    numbers = iter(range(10**9))

    def row() -> dict[str, bytes]:
        return {"id": sha256(next(numbers).to_bytes(8, "big")).digest(), "payload": bytes(200)}

    def together() -> int:
        with engine.begin() as connection:
            connection.execute(table.insert(), [row() for _ in range(_ROWS)])
        return _ROWS

    def singly() -> int:
        with engine.connect() as connection:
            for _ in range(200):
                connection.execute(table.insert(), row())
                connection.commit()
        return 200

    yield Figure(f"MariaDB rows, {_ROWS:,} inserted in one transaction", rate(together), "/s")
    yield Figure("MariaDB rows, each in its own transaction", rate(singly), "/s")
    table.drop(engine)
    engine.dispose()
