"""The roles say the same in their defaults, in their argument specs, and among each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def _load(role: str, name: str) -> Any:
    path = ROOT / "roles" / role / name
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def _options(role: str) -> dict[str, Any]:
    specs = _load(role, "meta/argument_specs.yml")["argument_specs"]
    found: dict[str, Any] = specs["main"].get("options", {})
    return found


def _defaults(role: str) -> dict[str, Any]:
    return _load(role, "defaults/main.yml") or {}


@pytest.mark.parametrize("role", ROLES)
def test_every_default_has_an_argument_spec_and_the_other_way_round(role: str) -> None:
    optional = {name for name, option in _options(role).items() if not option.get("required")}
    assert set(_defaults(role)) == optional


@pytest.mark.parametrize("role", ROLES)
def test_argument_specs_show_the_default_that_holds(role: str) -> None:
    defaults = _defaults(role)
    for name, option in _options(role).items():
        if "default" in option and name in defaults:
            assert option["default"] == defaults[name], name


def test_roles_that_share_a_name_share_its_default() -> None:
    seen: dict[str, tuple[str, Any]] = {}
    for role in ROLES:
        for name, value in _defaults(role).items():
            if name.startswith("cairn_"):
                other, before = seen.setdefault(name, (role, value))
                assert value == before, f"{name}: {role} has {value!r}, {other} {before!r}"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_its_parts(role: str) -> None:
    parts = ("defaults/main.yml", "meta/argument_specs.yml", "tasks/main.yml", "README.md")
    missing = [part for part in parts if not (ROOT / "roles" / role / part).is_file()]
    assert missing == []


def _plays(name: str) -> Any:
    return yaml.safe_load((ROOT / "playbooks" / name).read_text(encoding="utf-8"))


def test_nodes_start_when_the_web_servers_that_they_join_at_are_up() -> None:
    order = [role["role"] for play in _plays("site.yml") for role in play.get("roles", [])]
    assert sorted(order) == ROLES
    assert order.index("proxy") < order.index("node")


def test_delegated_tasks_do_not_take_the_delegates_address_for_the_hosts() -> None:
    # There ansible_host and ansible_port are those of localhost, unless the inventory gives some.
    for path in (ROOT / "roles").glob("*/tasks/*.yml"):
        for task in yaml.safe_load(path.read_text(encoding="utf-8")):
            if "delegate_to" in task:
                assert not re.search(r"(?<!\.)\bansible_(host|port)\b", str(task)), path


UNITS = [
    path
    for path in sorted((ROOT / "roles").rglob("templates/**/*.j2"))
    if path.stem.endswith((".service", ".socket", ".target", ".timer"))
]


def test_a_removed_node_leaves_no_unit_of_ours() -> None:
    removing = "".join(
        (ROOT / "roles" / role / "tasks" / "remove.yml").read_text(encoding="utf-8")
        for role in ("node", "proxy")
    )
    left = [unit for unit in UNITS if f"/etc/systemd/system/{unit.stem}\n" not in removing]
    assert len(UNITS) >= 11
    assert left == []


def test_the_nodes_sandbox_is_for_units_that_reckon_with_it() -> None:
    # systemd applies cairn-.service.d to whatever is called cairn-*.service.
    named = [unit for unit in UNITS if re.fullmatch(r"cairn-.*\.service", unit.stem)]
    assert {unit.relative_to(ROOT).parts[1] for unit in named} == {"node"}
