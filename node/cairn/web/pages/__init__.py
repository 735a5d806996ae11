"""Pages for people, rendered here; what moves in them is a few small ES modules."""

from flask import Flask, Response, current_app
from flask_bootstrap import Bootstrap5

from cairn import __version__
from cairn.web.node import this_node
from cairn.web.pages import (
    address,
    explorer,
    faucet,
    network,
    operator,
    operator_actions,
    overview,
    pool,
    reference,
    transaction,
    wallet,
)
from cairn.web.pages.blueprint import pages
from cairn.web.pages.formats import ago, as_text, code_spans, iso, lasting, shorten, utc
from cairn.web.views import coins

NAVIGATION = (
    ("/", "Overview"),
    ("/chain", "Blocks"),
    ("/pool", "Pool"),
    ("/nodes", "Nodes"),
    ("/forks", "Forks"),
    ("/wallet", "Wallet"),
    ("/notarize", "Notarize"),
    ("/verify", "Verify"),
    ("/api", "API"),
    ("/operator", "Operator"),
)
"""Path and name of what every page leads to."""
FAUCET_NAVIGATION = (("/faucet", "Faucet"),)
PAGE_MODULES = (
    address,
    explorer,
    faucet,
    network,
    operator,
    operator_actions,
    overview,
    pool,
    reference,
    transaction,
    wallet,
)
"""Imported for the pages they add to `pages`."""


@pages.get("/favicon.ico")
def favicon() -> Response:
    """For browsers that do not look for the one that pages name."""
    return current_app.send_static_file("img/cairn.svg")


def install_pages(app: Flask) -> None:
    """Adds the pages, Bootstrap's files, and what the templates use."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.register_blueprint(pages)
    app.jinja_env.filters.update(
        coins=coins,
        utc=utc,
        iso=iso,
        ago=ago,
        text=as_text,
        shorten=shorten,
        code=code_spans,
        lasting=lasting,
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def common() -> dict[str, object]:
        node = this_node()
        return {
            "node_name": node.config.node.name,
            "network": node.params.name,
            "symbol": node.params.symbol,
            "version": __version__,
            "navigation": NAVIGATION + FAUCET_NAVIGATION * node.has_faucet,
            "has_faucet": node.has_faucet,
        }
