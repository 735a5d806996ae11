"""The blueprint that all pages are on."""

from flask import Blueprint

pages = Blueprint("pages", __name__)
