"""Putting the application together."""

import sys

from flask import Flask

from cairn.config import Config, ConfigError, load_config
from cairn.storage.errors import StorageError
from cairn.web import openapi, pages
from cairn.web.api import accounts, chain, faucet, forks, nodes, operations, pool, transactions
from cairn.web.api.routing import api
from cairn.web.node import EXTENSION, WebNode
from cairn.web.problems import install_problems
from cairn.web.security import install_security_headers, install_socket_timeout
from cairn.web.submit import MAX_BODY_BYTES

EXIT_CONFIG = 78
"""sysexits.h EX_CONFIG, as the other programs exit with."""
API_MODULES = (accounts, chain, faucet, forks, nodes, openapi, operations, pool, transactions)
"""Imported for the operations they add to `api`."""


def build_app(config: Config | None) -> Flask:
    """The application; see `cairn.web.create_app`."""
    try:
        node = WebNode(config or load_config())
    except (ConfigError, StorageError) as error:
        if config is not None:
            raise
        sys.stderr.write(f"cairn-web: {error}\n")
        raise SystemExit(EXIT_CONFIG) from None
    app = Flask("cairn.web", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config["MAX_FORM_MEMORY_SIZE"] = 0
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = node
    install_problems(app)
    install_security_headers(app)
    install_socket_timeout(app)
    app.register_blueprint(api.blueprint())
    pages.install_pages(app)
    return app
