"""The HTTP side of a node: REST API, server-sent events, and pages for people.

Reads the database with a read-only connection and hands everything that changes state to
the listener; holds no key.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from cairn.config import Config


def create_app(config: "Config | None" = None) -> "Flask":
    """The WSGI application of the node that `config` (default: `load_config()`) describes.

    Starts no thread and opens no connection, so it may be made before gunicorn forks. Exits
    78 with every fault in plain words when the configuration cannot be loaded.
    """
    from cairn.web.app import build_app  # noqa: PLC0415 - importing the package does nothing

    return build_app(config)
