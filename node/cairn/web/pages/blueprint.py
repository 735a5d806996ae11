"""The blueprint that all pages are on."""

from flask import Blueprint, Response

pages = Blueprint("pages", __name__)


def see_other(path: str) -> Response:
    """Sends the browser to another page of this node."""
    return Response(status=303, headers={"Location": path})
