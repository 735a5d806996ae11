"""One frozen `Config` from a TOML file plus `CAIRN_*` variables, checked whole at start.

A value `publish` in section `[peers]` is overridden by `CAIRN_PEERS_PUBLISH`. Every fault is
found in one pass and named by its key, so that one look mends a configuration.
"""

from cairn.config.loading import load_config
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

__all__ = [
    "DEFAULT_CONFIG_FILE",
    "ChainSection",
    "Config",
    "ConfigError",
    "DatabaseSection",
    "FaucetSection",
    "LogSection",
    "MinerSection",
    "NodeSection",
    "PeersSection",
    "PoolSection",
    "WebSection",
    "load_config",
]
