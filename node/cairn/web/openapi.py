"""The OpenAPI document of the REST API, made from its routes and models."""

import re
from functools import lru_cache
from typing import Any

import msgspec
from apispec import APISpec
from flask import Response

from cairn import __version__
from cairn.consensus.errors import Rule
from cairn.web.api.routing import PREFIX, Answer, Content, Operation, Parameter, api
from cairn.web.bodies import BYTES_TYPE, JSON_TYPE
from cairn.web.models import Model, ProblemDocument
from cairn.web.node_models import NewBlockEvent, NewTransactionEvent, PeerEvent, ReorgEvent
from cairn.web.problems import CODE_STATUS, PROBLEM_TYPE, status_of

_REFERENCE = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"<(\w+)>")
_TITLES = {
    200: "Done.",
    202: "Accepted.",
    400: "The request is malformed.",
    401: "The operator's token is missing or wrong.",
    403: "Not allowed.",
    404: "There is no such thing.",
    408: "The rest of the request did not come in time.",
    409: "In conflict with the state of the chain or the pool.",
    413: "Too large, or too many.",
    415: "Another media type is asked for.",
    422: "A rule is broken; `code` names it.",
    429: "Too often; `Retry-After` tells when again.",
    500: "A fault in this node.",
    503: "Not now: the database or the listener is away.",
}
_TAGS = {
    "node": "The node itself.",
    "chain": "Blocks, headers and the network.",
    "transactions": "Submit, find and prove transactions.",
    "accounts": "Balances and histories.",
    "pool": "What waits for a block.",
    "nodes": "Known nodes, and joining.",
}
_DESCRIPTION = """\
A ledger node's interface for programs.

Amounts, fees and balances are strings of decimal digits in base units (1 coin is 10^8);
hashes, keys and bytes are lower-case hex; addresses are Bech32m; times are seconds since the
epoch. Lists answer `{"items": […], "next": cursor or null}`. Every refusal is a problem
document (RFC 9457) whose `code` is stable.
"""
_EVENT_MODELS = (NewBlockEvent, NewTransactionEvent, ReorgEvent, PeerEvent)


@api.route("GET /openapi.json", "node", {200: JSON_TYPE})
def get_openapi() -> Answer:
    """This document."""
    return Response(msgspec.json.encode(openapi_document()), content_type=JSON_TYPE)


@lru_cache(1)
def openapi_document() -> dict[str, Any]:
    """The whole document, as JSON values."""
    spec = APISpec(
        title="Cairn node",
        version=__version__,
        openapi_version="3.1.0",
        info={"description": _DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}},
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=[{"url": "/"}],
    )
    schemas, components = msgspec.json.schema_components(_types(), ref_template=_REFERENCE)
    by_type = dict(zip(map(str, _types()), schemas, strict=True))
    for name, schema in sorted(components.items()):
        spec.components.schema(name, schema)
    spec.components.security_scheme("operator", {"type": "http", "scheme": "bearer"})
    for operation in api.operations:
        path = PREFIX + _VARIABLE.sub(r"{\1}", operation.path)
        spec.path(path, operations={operation.method.lower(): _operation(operation, by_type)})
    return spec.to_dict()


def _types() -> list[Any]:
    """Every type that the document names, each once, in a stable order."""
    types: dict[str, Any] = {str(ProblemDocument): ProblemDocument}
    types |= {str(event): event for event in _EVENT_MODELS}
    for operation in api.operations:
        for content in operation.answers.values():
            for model in _models(content):
                types[str(model)] = model
        for body in operation.bodies.values():
            if body is not bytes:
                types[str(body)] = body
    return list(types.values())


def _models(content: Content) -> tuple[type[Model], ...]:
    if isinstance(content, str):
        return ()
    return content if isinstance(content, tuple) else (content,)


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            *(_path_parameter(name, operation) for name in _VARIABLE.findall(operation.path)),
            *(_query_parameter(parameter) for parameter in operation.parameters),
        ],
        "responses": _responses(operation, schemas),
    }
    if operation.description:
        document["description"] = operation.description
    if operation.bodies:
        content = {
            media: {"schema": _BYTES if body is bytes else schemas[str(body)]}
            for media, body in operation.bodies.items()
        }
        document["requestBody"] = {"required": True, "content": content}
    if operation.operator:
        document["security"] = [{"operator": []}]
    return document


_BYTES = {"type": "string", "contentMediaType": BYTES_TYPE}


def _path_parameter(name: str, operation: Operation) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": operation.path_words[name],
        "schema": {"type": "string"},
    }


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if parameter.high is not None:
        schema = {"type": "integer", "minimum": parameter.low, "maximum": parameter.high}
        if parameter.default is not None:
            schema["default"] = parameter.default
    elif parameter.choices:
        schema["enum"] = list(parameter.choices)
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": parameter.description,
        "schema": schema,
    }


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, content in operation.answers.items():
        responses[str(status)] = {
            "description": _TITLES[status],
            "content": _content(content, schemas),
        }
    problems = {*operation.problems, 500, 503}
    if operation.operator:
        problems |= {401, 403, 429}
    if operation.parameters:
        problems.add(400)
    problem = {PROBLEM_TYPE: {"schema": schemas[str(ProblemDocument)]}}
    for status in sorted(problems):
        entry = responses.setdefault(str(status), {"description": _TITLES[status], "content": {}})
        entry["content"].update(problem)
    return dict(sorted(responses.items()))


def _content(content: Content, schemas: dict[str, Any]) -> dict[str, Any]:
    if isinstance(content, str):
        schema = {"type": "object"} if content == JSON_TYPE else {"type": "string"}
        return {content: {"schema": schema}}
    found = [schemas[str(model)] for model in _models(content)]
    return {JSON_TYPE: {"schema": found[0] if len(found) == 1 else {"oneOf": found}}}


def problem_codes() -> list[tuple[str, int]]:
    """Codes with their status, for the readable page."""
    codes = {*map(str, CODE_STATUS), *map(str, Rule)}
    return sorted((code, status_of(code)) for code in codes)
