"""Refusals: every one is an RFC 9457 problem document with a stable `code`."""

import logging
from http import HTTPStatus

import msgspec
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from cairn.consensus.errors import Rule, RuleError
from cairn.ipc.client import ListenerUnavailable
from cairn.ipc.messages import Problem
from cairn.storage.errors import StorageError
from cairn.web.models import ProblemDetail, ProblemDocument

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
_MAX_DETAIL = 500

_logger = logging.getLogger(__name__)

CODE_STATUS = {
    # how a request is made
    "malformed-json": 400,
    "invalid-utf8": 400,
    "duplicate-key": 400,
    "unknown-field": 400,
    "missing-field": 400,
    "wrong-type": 400,
    "float-not-allowed": 400,
    "not-a-number": 400,
    "nesting-too-deep": 400,
    "string-too-long": 400,
    "hex-invalid": 400,
    "number-invalid": 400,
    "number-negative": 400,
    "number-too-large": 400,
    "value-out-of-range": 400,
    "body-empty": 400,
    "bad-request": 400,
    "unknown-parameter": 400,
    "header-incomplete": 408,
    "body-incomplete": 408,
    "too-many": 413,
    "body-too-large": 413,
    "address-too-long": 414,
    "wrong-content-type": 415,
    "header-too-large": 431,
    # who asks
    "unauthorized": 401,
    "operator-disabled": 403,
    "origin-refused": 403,
    "form-expired": 403,
    Rule.PEER_NOT_ADMITTED: 403,
    Rule.PEER_BANNED: 403,
    # what there is
    "not-found": 404,
    "faucet-disabled": 404,
    "method-not-allowed": 405,
    # against the state of things
    Rule.SEQUENCE_MISMATCH: 409,
    Rule.POOL_DUPLICATE: 409,
    Rule.POOL_ALREADY_MINED: 409,
    Rule.MESSAGE_TOO_LARGE: 413,
    "too-many-requests": 429,
    # what the node lacks now
    "internal-error": 500,
    "join-failed": 502,
    "listener-unavailable": 503,
    "miner-unavailable": 503,
    "listener-busy": 503,
    "database-unavailable": 503,
    "too-many-streams": 503,
    "node-busy": 503,
    "faucet-empty": 503,
}
"""HTTP status of each code; a rule that is not named is 422."""

_CONNECTION_ENDS = ("bad-request", "body-incomplete", "body-too-large")
_RULE_STATUS = 422
_HTTP_CODES = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    413: "body-too-large",
    415: "wrong-content-type",
    500: "internal-error",
}
_LISTENER_AWAY = "the listener does not answer; ask again, a transaction is never taken twice"
_encode = msgspec.json.Encoder().encode


class ApiProblem(Exception):
    """A request that is refused. `code` decides the HTTP status."""

    def __init__(self, code: str, detail: str, **numbers: int | str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.numbers: dict[str, int | str] = numbers

    @classmethod
    def of(cls, problem: Problem) -> "ApiProblem":
        """The listener's refusal as an HTTP one."""
        error = cls(problem.code, problem.detail)
        error.numbers = problem.numbers
        return error

    @classmethod
    def of_rule(cls, fault: RuleError, **numbers: int | str) -> "ApiProblem":
        """A broken rule; `numbers` add to the rule's own (such as which item)."""
        error = cls(fault.rule.value, fault.detail)
        error.numbers = {**fault.numbers, **numbers}
        return error

    def as_detail(self) -> ProblemDetail:
        """As part of a batch's answer."""
        return ProblemDetail(code=self.code, detail=self.detail, numbers=self.numbers)


def status_of(code: str) -> int:
    """The HTTP status a code is answered with."""
    return CODE_STATUS.get(code, _RULE_STATUS)


def encode_problem(code: str, detail: str, numbers: dict[str, int | str], status: int) -> bytes:
    """The problem document of a refusal, as JSON."""
    document = ProblemDocument(
        type=f"/problems/{code}",
        title=code.replace("-", " ").capitalize(),
        status=status,
        detail=detail[:_MAX_DETAIL],
        code=code,
        numbers=numbers,
    )
    return _encode(document)


def problem_response(
    code: str, detail: str, numbers: dict[str, int | str] | None = None, status: int | None = None
) -> Response:
    """The answer to a refused request."""
    status = status or status_of(code)
    body = encode_problem(code, detail, numbers or {}, status)
    response = Response(body, status, content_type=PROBLEM_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = (numbers or {}).get("retry_after_seconds", RETRY_AFTER_SECONDS)
        response.headers["Retry-After"] = str(seconds)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="operator"'
    if code in _CONNECTION_ENDS:
        # What was not read is still on its way: no other request can follow it.
        response.headers["Connection"] = "close"
    return response


def explain(error: Exception) -> tuple[str, str, dict[str, int | str]]:
    """Code, detail and numbers for an exception of this or a lower layer."""
    if isinstance(error, ApiProblem):
        return error.code, error.detail, error.numbers
    if isinstance(error, RuleError):
        return error.rule.value, error.detail, error.numbers
    if isinstance(error, ListenerUnavailable):
        return "listener-unavailable", _LISTENER_AWAY, {}
    if isinstance(error, StorageError):
        _logger.warning("database: %s", error)
        return "database-unavailable", "the database cannot be read now", {}
    if isinstance(error, HTTPException):
        return _explain_http(error)
    _logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return "internal-error", "an error in this node; its log says more", {}


def _explain_http(error: HTTPException) -> tuple[str, str, dict[str, int | str]]:
    status = error.code or 500
    code = _HTTP_CODES.get(status, "bad-request" if status < 500 else "internal-error")
    numbers: dict[str, int | str] = {}
    if status == 404:
        return code, "there is nothing at this address", numbers
    if status == 405:
        allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return code, f"{request.method[:20]} is not possible here, but {allowed} is", numbers
    return code, error.description or code, numbers


def install_problems(app: Flask) -> None:
    """Answers every refusal as a problem document, or as a page where a page was asked for."""

    @app.errorhandler(Exception)
    def refuse(error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.code is not None and error.code < 400:
            return app.make_response(error.get_response())
        code, detail, numbers = explain(error)
        response = problem_response(code, detail, numbers)
        if isinstance(error, HTTPException) and error.code == 405:
            response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
        if _wants_page():
            _make_page(response, code, detail)
        return response


_PAGE_HELP = {
    "not-found": "What left the pool unmined, or is only on a branch that lost, is no longer here.",
    "listener-unavailable": "The chain can still be read; sending works again once the listener is "
    "back, which systemd or ./dev up sees to.",
    "database-unavailable": "The node waits for its database and goes on by itself once it is "
    "back. This page may be loaded again then.",
    "internal-error": "Please tell the node's operator when this happened.",
    "unauthorized": "A session ends eight hours after its login, or when the token is changed. "
    "Log in again under Operator.",
    "form-expired": "Go back, load the page again, and repeat what you did.",
    "origin-refused": "Open the page at the address that the browser shows, and not through "
    "another site's.",
    "faucet-disabled": "A node has one only where its operator configured it; see [faucet] in "
    "the README.",
    "faucet-empty": "Whoever runs this node can send its account more.",
    "too-many-streams": "Close some of this node's pages.",
}
"""What a person may do about a problem, on its page."""


def _wants_page() -> bool:
    if request.path.startswith("/api/"):
        return False
    return request.accept_mimetypes.best_match([PROBLEM_TYPE, "text/html"]) == "text/html"


def _make_page(response: Response, code: str, detail: str) -> None:
    response.set_data(
        render_template(
            "problem.html",
            code=code,
            detail=detail,
            help=_PAGE_HELP.get(code, ""),
            status=response.status_code,
        )
    )
    response.content_type = "text/html; charset=utf-8"
