"""Routes with what the OpenAPI document says of them, in one place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from cairn.web.bodies import JSON_TYPE, decimal_number
from cairn.web.models import Model
from cairn.web.problems import ApiProblem

PREFIX = "/api/v1"
MAX_LIMIT = 100
_MAX_CURSOR_CHARACTERS = 200

Answer = Model | tuple[Model, int] | Response
Handler = Callable[..., Answer]
Content = type[Model] | tuple[type[Model], ...] | str
"""What an answer holds: a model, one of several, or the media type of what is not JSON."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter; an integer when `high` is given, else text."""

    name: str
    description: str
    low: int = 0
    high: int | None = None
    default: int | None = None
    choices: tuple[str, ...] = ()

    def text(self) -> str | None:
        """The value given, or None. Raises ApiProblem when it is not to be."""
        value = request.args.get(self.name)
        if value is None:
            return None
        if len(value) > _MAX_CURSOR_CHARACTERS:
            raise ApiProblem(
                "string-too-long",
                f"{self.name} is {len(value)} characters, at most {_MAX_CURSOR_CHARACTERS}",
                field=self.name,
                length=len(value),
                limit=_MAX_CURSOR_CHARACTERS,
            )
        if self.choices and value not in self.choices:
            raise ApiProblem(
                "value-out-of-range",
                f"{self.name} must be one of {', '.join(self.choices)}",
                field=self.name,
            )
        return value

    def optional_number(self) -> int | None:
        """The number given, or None. Raises ApiProblem when it is none or out of range."""
        value = request.args.get(self.name)
        if value is None:
            return None
        high = self.high if self.high is not None else 0
        number = decimal_number(value, self.name, high)
        if number < self.low:
            raise ApiProblem(
                "value-out-of-range",
                f"{self.name} {number} is not from {self.low} to {high}",
                field=self.name,
                low=self.low,
                high=high,
            )
        return number

    def number(self) -> int:
        """The number given, or the default."""
        value = self.optional_number()
        return (self.default or 0) if value is None else value


LIMIT = Parameter("limit", "How many items at most.", low=1, high=MAX_LIMIT, default=20)
CURSOR = Parameter("cursor", "The `next` of the page before.")


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API."""

    method: str
    path: str
    """In Flask's form, under the prefix."""
    summary: str
    description: str
    tag: str
    answers: Mapping[int, Content]
    """By status."""
    parameters: tuple[Parameter, ...]
    path_words: dict[str, str]
    """What each variable of the path is."""
    bodies: dict[str, Any]
    """By media type: the type of the request's body, `bytes` for raw bytes."""
    problems: tuple[int, ...]
    operator: bool
    """Whether the operator's token is asked for."""
    handler: Handler

    @property
    def name(self) -> str:
        """Unique name of the operation."""
        return self.handler.__name__


class Api:
    """Collects operations, and makes a Flask blueprint of them."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def route(
        self,
        call: str,
        tag: str,
        answers: type[Model] | Mapping[int, Content],
        *,
        parameters: tuple[Parameter, ...] = (),
        path_words: dict[str, str] | None = None,
        bodies: dict[str, Any] | None = None,
        problems: tuple[int, ...] = (),
        operator: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Registers a handler for `call`, such as `GET /blocks/<reference>`.

        Its docstring's first line is the summary, the rest the description.
        """
        method, path = call.split()

        def register(handler: Handler) -> Handler:
            summary, _, description = (handler.__doc__ or "").partition("\n")
            self.operations.append(
                Operation(
                    method,
                    path,
                    summary.strip().rstrip("."),
                    " ".join(description.split()),
                    tag,
                    answers if isinstance(answers, Mapping) else {200: answers},
                    parameters,
                    path_words or {},
                    bodies or {},
                    problems,
                    operator,
                    handler,
                )
            )
            return handler

        return register

    def blueprint(self) -> Blueprint:
        """All operations under the prefix."""
        blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
        for operation in self.operations:
            blueprint.add_url_rule(
                operation.path,
                operation.name,
                _view(operation),
                methods=[operation.method],
            )
        return blueprint


def _view(operation: Operation) -> Callable[..., Response]:
    known = {parameter.name for parameter in operation.parameters}

    @wraps(operation.handler)
    def view(**variables: str) -> Response:
        if request.query_string:
            _check_query(known)
        return respond(operation.handler(**variables))

    return view


def _check_query(known: set[str]) -> None:
    for name, values in request.args.lists():
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise ApiProblem(
                "unknown-parameter", f"{name[:40]!r} is not a parameter here ({allowed})"
            )
        if len(values) > 1:
            raise ApiProblem("duplicate-key", f"parameter {name!r} is given twice", field=name)


def respond(answer: Answer) -> Response:
    """The response with this answer."""
    if isinstance(answer, Response):
        return answer
    model, status = answer if isinstance(answer, tuple) else (answer, 200)
    response = Response(_encode(model), status, content_type=JSON_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


api = Api()
"""Everything under /api/v1; the modules beside this one add to it."""
