"""Reading what a client sends: bounded before it is read, strict about every byte of it.

The quick path is one typed decoding in C. Only what it refuses is looked at again, slowly,
to say exactly what is wrong.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec
from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from cairn.web.problems import ApiProblem

JSON_TYPE = "application/json"
BYTES_TYPE = "application/octet-stream"
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 16
MAX_NESTING = 16
MAX_SMALL_BODY_BYTES = 64 * 1024
"""For everything but transactions."""
_MAX_DIGITS = 100
_MAX_SHOWN = 40

# Possessive: what was once taken for a string is never looked at again.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_FIELD = re.compile(r"field `(.*?)`")
_EXPECTED = re.compile(r"^Expected `(.+?)`, got `(.+?)`(?: - at `(.+)`)?$")
_HEX = re.compile(r"[0-9a-f]*")
_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)

T = TypeVar("T")


def read_body(limit: int, *content_types: str) -> bytes:
    """The request's body, at most `limit` bytes, of one of these media types.

    Raises ApiProblem `wrong-content-type`, `body-too-large` (from the announced length before
    a byte is read, or after `limit` bytes of a chunked body), `body-incomplete` or `body-empty`.
    """
    check_content_type(*content_types)
    length = request.content_length
    if length is not None and length > limit:
        raise _too_large(limit, length)
    request.max_content_length = limit + 1  # a chunked body may end there without an error
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except (ClientDisconnected, TimeoutError):
        raise ApiProblem("body-incomplete", "the rest of the body did not come") from None
    except Exception:  # noqa: BLE001 - each server has its own for broken chunks
        raise ApiProblem("bad-request", "the body's framing is broken") from None
    if len(body) > limit:
        raise _too_large(limit, len(body))
    if not body:
        raise ApiProblem("body-empty", "the request has no body")
    return body


def check_content_type(*content_types: str) -> None:
    """Raises ApiProblem `wrong-content-type` unless the body is of one of these types."""
    wrong = request.mimetype not in content_types
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if wrong or (request.mimetype == JSON_TYPE and charset not in ("utf-8", "utf8")):
        raise ApiProblem(
            "wrong-content-type",
            f"Content-Type must be {' or '.join(content_types)}",
            got=(request.content_type or "none")[:_MAX_SHOWN],
        )


def decode_json(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The value that `body` is, as the decoder's type. A duplicate key is not seen here."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        explain_json(body, error)


def read_json(decoder: msgspec.json.Decoder[T]) -> T:
    """The request's small JSON body, as the decoder's type. Raises ApiProblem."""
    body = read_body(MAX_SMALL_BODY_BYTES, JSON_TYPE)
    value = decode_json(body, decoder)
    check_duplicate_keys(body)
    return value


def read_form(limit: int) -> dict[str, str]:
    """The fields of a posted form of at most `limit` bytes. Raises ApiProblem."""
    body = read_body(limit, FORM_TYPE)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise ApiProblem("bad-request", "this is not a form's content") from None
    if len(dict(pairs)) != len(pairs):
        raise ApiProblem("duplicate-key", "a field of the form is given twice")
    return dict(pairs)


def check_duplicate_keys(body: bytes) -> None:
    """Raises ApiProblem when `body` is not sound JSON with every key once in its object."""
    try:
        json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_refuse_float,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
        )
    except UnicodeDecodeError as error:
        raise ApiProblem(
            "invalid-utf8", f"byte {error.start} is not UTF-8", offset=error.start
        ) from None
    except json.JSONDecodeError as error:
        raise ApiProblem(
            "malformed-json", f"{error.msg} at character {error.pos}", offset=error.pos
        ) from None


def explain_json(body: bytes, error: Exception) -> NoReturn:
    """Raises the ApiProblem that tells why `body` was refused with `error`."""
    check_nesting(body)
    check_duplicate_keys(body)
    message = str(error)
    if named := _FIELD.search(message):
        code = "unknown-field" if "unknown" in message else "missing-field"
        name = named[1][:_MAX_SHOWN]
        words = "is not known" if code == "unknown-field" else "is missing"
        raise ApiProblem(code, f"field {name!r} {words}", field=name)
    if wrong := _EXPECTED.match(message):
        field = (wrong[3] or "$").removeprefix("$.")
        # Real floats were refused above: the decoder calls integers above 64 bits so.
        got = "int" if wrong[2] == "float" else wrong[2]
        raise ApiProblem(
            "wrong-type",
            f"{field} must be {wrong[1]}, got {got}",
            field=field,
            expected=wrong[1],
            got=got,
        )
    if "out of range" in message:
        raise ApiProblem("number-too-large", message[:200])
    if "length" in message:
        raise ApiProblem("too-many", message[:200])
    raise ApiProblem("malformed-json", message[:200])


def check_nesting(body: bytes) -> None:
    """Raises ApiProblem `nesting-too-deep` before anything follows the nesting itself."""
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_NESTING:
            raise ApiProblem(
                "nesting-too-deep",
                f"more than {MAX_NESTING} levels of arrays and objects",
                limit=MAX_NESTING,
            )


def hex_bytes(text: str, name: str, length: int | None = None, limit: int | None = None) -> bytes:
    """The bytes of lower-case hex. Raises ApiProblem `hex-invalid` or `string-too-long`."""
    if limit is not None and len(text) > 2 * limit:
        raise ApiProblem(
            "string-too-long",
            f"{name} is {len(text)} characters, at most {2 * limit} ({limit} bytes)",
            field=name,
            length=len(text),
            limit=2 * limit,
        )
    if length is not None and len(text) != 2 * length:
        raise ApiProblem(
            "hex-invalid",
            f"{name} must be {2 * length} hex digits, got {len(text)} characters",
            field=name,
            expected=2 * length,
            length=len(text),
        )
    if not _HEX.fullmatch(text) or len(text) % 2:
        raise ApiProblem("hex-invalid", f"{name} must be pairs of the digits 0-9a-f", field=name)
    return bytes.fromhex(text)


def decimal_number(value: int | str, name: str, limit: int) -> int:
    """A number given as decimal digits (or as a JSON integer), 0 to `limit`.

    Raises ApiProblem `number-negative`, `number-too-large` or `number-invalid`.
    """
    if isinstance(value, str):
        if value.startswith("-") and _DECIMAL.fullmatch(value, 1):
            raise _negative(name, value)
        if not _DECIMAL.fullmatch(value):
            raise ApiProblem(
                "number-invalid",
                f"{name} must be decimal digits without sign, point or leading zero",
                field=name,
                got=value[:_MAX_SHOWN],
            )
        if len(value) > _MAX_DIGITS:
            raise _number_too_large(name, f"{len(value)} digits", limit)
        value = int(value)
    if value < 0:
        raise _negative(name, str(value))
    if value > limit:
        raise _number_too_large(name, str(value), limit)
    return value


def _negative(name: str, text: str) -> ApiProblem:
    shown = text[:_MAX_SHOWN]
    return ApiProblem("number-negative", f"{name} {shown} is below 0", field=name, got=shown)


def _number_too_large(name: str, shown: str, limit: int) -> ApiProblem:
    shown = shown[:_MAX_SHOWN]
    return ApiProblem(
        "number-too-large",
        f"{name} {shown} is above {limit}",
        field=name,
        got=shown,
        limit=str(limit),
    )


def _too_large(limit: int, length: int | None = None) -> ApiProblem:
    if length is None:
        return ApiProblem("body-too-large", f"the body is over {limit} bytes", limit=limit)
    return ApiProblem(
        "body-too-large",
        f"the body is {length} bytes, at most {limit}",
        length=length,
        limit=limit,
    )


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                shown = key[:_MAX_SHOWN]
                raise ApiProblem("duplicate-key", f"key {shown!r} is given twice", field=shown)
            seen.add(key)
    return found


def _refuse_float(text: str) -> NoReturn:
    shown = text[:_MAX_SHOWN]
    raise ApiProblem(
        "float-not-allowed", f"{shown} is not an integer; there are no floats here", got=shown
    )


def _refuse_constant(text: str) -> NoReturn:
    raise ApiProblem("not-a-number", f"{text} is not JSON", got=text)


def _bounded_int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ApiProblem(
            "number-too-large",
            f"an integer of {len(text)} digits",
            length=len(text),
            limit=_MAX_DIGITS,
        )
    return int(text)
