"""Pages for people, rendered here; what moves in them is a few small ES modules."""

from flask import Flask, Response
from flask_bootstrap import Bootstrap5

from cairn import __version__
from cairn.web.node import this_node
from cairn.web.pages import explorer, network, overview, reference, wallet
from cairn.web.pages.blueprint import pages
from cairn.web.pages.formats import ago, as_text, utc
from cairn.web.views import coins

PAGE_MODULES = (explorer, network, overview, reference, wallet)
"""Imported for the pages they add to `pages`."""


@pages.get("/favicon.ico")
def favicon() -> Response:
    """None; asked for by every browser all the same."""
    return Response(status=204, headers={"Cache-Control": "max-age=86400"})


def install_pages(app: Flask) -> None:
    """Adds the pages, Bootstrap's files, and what the templates use."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.register_blueprint(pages)
    app.jinja_env.filters.update(coins=coins, utc=utc, ago=ago, text=as_text)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def common() -> dict[str, object]:
        node = this_node()
        return {
            "node_name": node.config.node.name,
            "network": node.params.name,
            "symbol": node.params.symbol,
            "version": __version__,
        }
