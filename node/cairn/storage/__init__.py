"""The ledger in a database: one code path for SQLite and for MySQL or MariaDB.

`chain_store` and `node_store` are what the writer uses, `queries` answers everyone else, and
`migrate` makes and upgrades the tables. Every failure is a `cairn.storage.errors.StorageError`.
"""
