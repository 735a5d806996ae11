"""What a listener that may not change tables says of them."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from cairn.cli.app import cairn
from cairn.storage.engine import open_engine
from cairn.storage.errors import StorageError
from cairn.storage.migrate import migrate, require_tables


def change(url: str, statement: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_missing_tables_are_refused_in_words(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    with pytest.raises(StorageError, match=r"lacks migrations .*cairn db migrate"):
        require_tables(url)
    assert not (tmp_path / "cairn.db").exists()


def test_tables_of_this_and_of_a_newer_version_will_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    require_tables(url)
    change(url, "UPDATE alembic_version SET version_num = 'from-the-future'")
    require_tables(url)


def test_an_emptied_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    change(url, "DELETE FROM alembic_version")
    with pytest.raises(StorageError, match="lacks migrations"):
        require_tables(url)


def test_migrating_apart_leaves_tables_of_a_newer_version(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'cairn.db'}"
    migrate(url)
    change(url, "UPDATE alembic_version SET version_num = 'from-the-future'")
    config = tmp_path / "cairn.toml"
    for who, code in (("apart", 0), ("listener", 78)):
        config.write_text(f'[database]\nurl = "{url}"\nmigrate = "{who}"\n', encoding="utf-8")
        done = CliRunner().invoke(cairn, ["db", "migrate", "--config", str(config)])
        assert done.exit_code == code, done.output
