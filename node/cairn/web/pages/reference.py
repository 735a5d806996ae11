"""The REST API and its problems, readable."""

from flask import Response, render_template

from cairn.web.openapi import openapi_document, problem_codes
from cairn.web.pages.blueprint import pages
from cairn.web.problems import ApiProblem


@pages.get("/api")
def api_page() -> str:
    """The REST API, readable."""
    return render_template("api.html", document=openapi_document(), codes=problem_codes())


@pages.get("/problems/<code>")
def problem_type(code: str) -> Response:
    """Where the `type` of a problem document leads."""
    if code not in dict(problem_codes()):
        raise ApiProblem("not-found", "no problem is called that")
    return Response(status=303, headers={"Location": f"/api#problem-{code}"})
