"""What the Vagrantfile and the program that fills its cache must agree on."""

import hashlib
import re
from pathlib import Path

from tools.lab.box import SUITES, box_path

ROOT = Path(__file__).parents[2]
VAGRANTFILE = (ROOT / "Vagrantfile").read_text(encoding="utf-8")


def _digest(source: str) -> str:
    return hashlib.sha256((ROOT / source).read_bytes()).hexdigest()[:12]


def test_vagrant_looks_for_the_box_where_it_is_built() -> None:
    made = dict(re.findall(r'MADE\.call\("([^"]+)", "([^"]+)"\)', VAGRANTFILE))
    assert made == {
        "cairn-#{SUITE}": "tools/lab/box.py",
        "wheels": "requirements/mysql.txt",
    }
    for suite in SUITES:
        name = f"cairn-{suite}-{_digest('tools/lab/box.py')}.box"
        assert box_path(suite).name == name


def test_the_play_runs_once_over_hosts_that_are_all_up() -> None:
    assert VAGRANTFILE.count('provision "ansible"') == 1
    assert "next unless name == NAMES.last" in VAGRANTFILE
    assert 'ENV["VAGRANT_NO_PARALLEL"] = "1" unless ARGV.include?("--no-provision")' in VAGRANTFILE
    commands = (ROOT / "tools" / "lab" / "commands.py").read_text(encoding="utf-8")
    assert '"up", "--provider=lxc", "--no-provision"' in commands
