"""The operator's token: what the node's owner shows to do more than anyone may."""

from pathlib import Path

from cairn.cli.failures import ExitCode, Failure

_MAX_TOKEN_BYTES = 4_096


def operator_token(token_file: str | None) -> str:
    """The token in this file, else in the one that the node's configuration names.

    Raises Failure when there is none to be found.
    """
    path = Path(token_file) if token_file else _configured()
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_TOKEN_BYTES + 1)
    except FileNotFoundError:
        raise Failure(
            f"{path}: no such file", "name the operator's token: --token-file FILE",
            exit_code=ExitCode.NOT_FOUND,
        ) from None  # fmt: skip
    except OSError as error:
        raise Failure(
            f"the token file {path} cannot be read: {error.strerror}",
            "run as the operator, or name another: --token-file FILE",
        ) from None
    token = content.decode("ascii", errors="replace").strip()
    if not token or len(content) > _MAX_TOKEN_BYTES or not token.isprintable():
        raise Failure(f"{path} holds no token", "it must be one line of printable ASCII")
    if not token.isascii():
        raise Failure(f"{path} holds no token", "it must be one line of printable ASCII")
    return token


def _configured() -> Path:
    from cairn.config import ConfigError, load_config

    try:
        path = load_config().web.operator_token_file
    except ConfigError:
        path = None
    if path is None:
        raise Failure(
            "this needs the operator's token",
            "name its file with --token-file FILE (or CAIRN_TOKEN_FILE);"
            " the node has it in [web] operator_token_file",
            exit_code=ExitCode.USAGE,
            code="unauthorized",
        )
    return path
