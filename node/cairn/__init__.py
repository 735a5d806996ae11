"""Cairn: a ledger node. Importing this package does nothing but name its version."""

__version__ = "0.1.0"
