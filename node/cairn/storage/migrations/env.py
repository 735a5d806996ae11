"""Run by Alembic: applies migrations on the connection that `cairn.storage.migrate` holds."""

from alembic import context

from cairn.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # With BEGIN IMMEDIATE done by hand, SQLite takes table changes back like any other.
    transactional_ddl=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
