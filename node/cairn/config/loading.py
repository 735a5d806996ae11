"""Reads a configuration whole: a TOML file, `CAIRN_*` variables over it, every fault at once."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from cairn.config.checks import check_sections
from cairn.config.sections import (
    DEFAULT_CONFIG_FILE,
    ChainSection,
    Config,
    ConfigError,
    DatabaseSection,
    FaucetSection,
    LogSection,
    MinerSection,
    NodeSection,
    PeersSection,
    PoolSection,
    WebSection,
)
from cairn.consensus.errors import RuleError
from cairn.consensus.params import REGTEST_GENESIS, NetworkParams, parse_genesis

_SECTIONS = {
    "node": NodeSection,
    "database": DatabaseSection,
    "web": WebSection,
    "peers": PeersSection,
    "chain": ChainSection,
    "pool": PoolSection,
    "miner": MinerSection,
    "faucet": FaucetSection,
    "log": LogSection,
}


def load_config(
    path: Path | str | None = None, environment: Mapping[str, str] = os.environ
) -> Config:
    """The configuration from `path` (or `CAIRN_CONFIG`, or /etc/cairn/cairn.toml if there).

    Raises ConfigError listing every unknown key, wrong type, value out of range and
    unusable genesis file.
    """
    named = path or environment.get("CAIRN_CONFIG")
    file = Path(named or DEFAULT_CONFIG_FILE)
    table = _read_table(file, required=named is not None)
    faults = [f"{name}: unknown section or key" for name in sorted(set(table) - set(_SECTIONS))]
    sections: dict[str, Any] = {}
    for name, section_type in _SECTIONS.items():
        raw = table.get(name, {})
        if not isinstance(raw, dict):
            faults.append(f"{name}: must be a section, [{name}]")
            raw = {}
        sections[name] = _parse_section(name, section_type, raw, environment, faults)
    faults += _unknown_variables(environment)
    params = _load_params(sections["node"].network, faults)
    faults += check_sections(sections, params)
    if faults or params is None:
        raise ConfigError(
            "\n".join([f"{len(faults)} fault(s) in the configuration {file}:", *faults])
        )
    return Config(**sections, params=params)


def _read_table(file: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{file}: no such file; name one with --config FILE") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None


def _parse_section(
    name: str,
    section_type: type[Any],
    raw: dict[str, Any],
    environment: Mapping[str, str],
    faults: list[str],
) -> Any:
    hints = get_type_hints(section_type)
    known = {field.name: field for field in fields(section_type)}
    faults += [f"{name}.{key}: unknown key" for key in sorted(set(raw) - set(known))]
    values = {}
    for key, definition in known.items():
        variable = f"CAIRN_{name}_{key}".upper()
        try:
            if variable in environment:
                value = _from_text(environment[variable], hints[key])
            elif key in raw:
                value = raw[key]
            else:
                continue
            values[key] = _checked(value, hints[key], definition)
        except ValueError as error:
            where = variable if variable in environment else f"{name}.{key}"
            faults.append(f"{where}: {error}")
    return section_type(**values)


def _from_text(text: str, hint: Any) -> Any:
    if isinstance(hint, UnionType):
        hint = get_args(hint)[0]
    if hint is int:
        try:
            return int(text)
        except ValueError:
            raise ValueError(f"must be an integer, got {text!r}") from None
    if get_origin(hint) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(value: Any, hint: Any, definition: Field[Any]) -> Any:
    if isinstance(hint, UnionType):
        hint = get_args(hint)[0]
    if hint is int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be an integer, got {value!r}")
        low, high = definition.metadata.get("range", (0, 2**63 - 1))
        if not low <= value <= high:
            raise ValueError(f"must be from {low} to {high}, got {value}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"must be a list of strings, got {value!r}")
        return tuple(value)
    if not isinstance(value, str):
        raise ValueError(f"must be a string, got a {type(value).__name__}")
    choices = definition.metadata.get("choices")
    if choices and value not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, got {value!r}")
    return Path(value) if hint is Path else value


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = {
        f"CAIRN_{name}_{field.name}".upper()
        for name, section_type in _SECTIONS.items()
        for field in fields(section_type)
    }
    prefixes = tuple(f"CAIRN_{name.upper()}_" for name in _SECTIONS)
    return [
        f"{variable}: unknown variable"
        for variable in sorted(environment)
        if variable.startswith(prefixes) and variable not in known
    ]


def _load_params(network: str, faults: list[str]) -> NetworkParams | None:
    try:
        if network == "regtest":
            return parse_genesis(REGTEST_GENESIS)
        return parse_genesis(Path(network).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RuleError) as error:
        faults.append(f"node.network: genesis file {network}: {error}")
        return None
