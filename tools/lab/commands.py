"""What `./dev box` and `./dev lab` do."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.console import ROOT, Failure, child_environment, say
from tools.lab.box import build_box
from tools.lab.machine import STATE, make_deploy_key, make_network, require_lab, share_wheels

VENV_BIN = ROOT / ".venv" / "bin"


def lab_environment(suite: str, nodes: int) -> dict[str, str]:
    """The environment in which Vagrant and Ansible find the box, the wheels and each other."""
    environment = child_environment()
    environment["PATH"] = f"{VENV_BIN}:{environment.get('PATH', os.defpath)}"
    environment["NODES"] = str(nodes)
    environment["VAGRANT_HOME"] = str(STATE / "vagrant")
    environment["VAGRANT_DEFAULT_PROVIDER"] = "lxc"
    environment["VAGRANT_CHECKPOINT_DISABLE"] = "1"
    environment["VAGRANT_BOX_UPDATE_CHECK_DISABLE"] = "1"
    environment["CAIRN_LAB_BOX"] = f"cairn-{suite}"
    environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
    environment["LC_ALL"] = "C.UTF-8"
    return environment


def vagrant(environment: Mapping[str, str], *words: str) -> int:
    """Run Vagrant on our own output; its exit code."""
    command = ["vagrant", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False
    ).returncode


def prepare(suite: str, nodes: int, *, fresh: bool = False) -> dict[str, str]:
    """Everything before the hosts: packages, bridge, box, wheels, key; Vagrant's environment."""
    require_lab()
    environment = lab_environment(suite, nodes)
    box = build_box(suite)
    wheels = share_wheels(str(VENV_BIN / "python"))
    environment["CAIRN_LAB_WHEELS"] = str(wheels)
    make_deploy_key()
    if not is_up():
        make_network(str(VENV_BIN / "cairn"))
    (STATE / "nodes").write_text(f"{suite} {nodes}\n", encoding="utf-8")
    marker = STATE / f"box-{suite}"
    if fresh or not marker.is_file() or marker.read_text(encoding="utf-8") != str(box):
        name = environment["CAIRN_LAB_BOX"]
        if vagrant(environment, "box", "add", "--force", "--name", name, str(box)) != 0:
            raise Failure(f"Vagrant did not take the box {box}.")
        marker.write_text(str(box), encoding="utf-8")
    return environment


def prepare_alone(suite: str, provider: str) -> int:
    """What `vagrant up` needs when it is not us who call it: key, network, box and wheels."""
    STATE.mkdir(parents=True, exist_ok=True)
    make_deploy_key()
    if not is_up("*"):
        make_network(str(VENV_BIN / "cairn"))
    if provider == "lxc":
        require_lab()
        build_box(suite)
        share_wheels(str(VENV_BIN / "python"))
    return 0


def is_up(provider: str = "lxc") -> bool:
    """Whether Vagrant has made hosts that are not destroyed."""
    return any((ROOT / ".vagrant" / "machines").glob(f"*/{provider}/id"))


def current_environment() -> dict[str, str]:
    """The environment of the lab that is up; an error when none is."""
    try:
        suite, nodes = (STATE / "nodes").read_text(encoding="utf-8").split()
    except OSError:
        raise Failure("No lab is up. Start one with: ./dev lab up") from None
    environment = lab_environment(suite, int(nodes))
    wheels = share_wheels(str(VENV_BIN / "python"))
    environment["CAIRN_LAB_WHEELS"] = str(wheels)
    return environment


def up(suite: str, nodes: int) -> int:
    """Start the hosts and run the playbook over them."""
    environment = prepare(suite, nodes)
    # Containers start at the same time; the playbook must find all of them.
    code = vagrant(environment, "up", "--provider=lxc", "--no-provision")
    code = code or vagrant(environment, "provision", f"node{nodes}")
    if code == 0:
        say("Log in with ./dev lab ssh node1; end it with ./dev lab down")
    return code


def down() -> int:
    """Destroy the hosts and all they hold."""
    if not is_up():
        say("No lab is up; nothing to do.")
        return 0
    code = vagrant(current_environment(), "destroy", "--force")
    if code == 0:
        shutil.rmtree(ROOT / ".vagrant", ignore_errors=True)
    return code


def ssh(words: Sequence[str]) -> int:
    """Become a shell, or one command, on a host."""
    environment = current_environment()
    os.chdir(ROOT)
    os.execvpe("vagrant", ["vagrant", "ssh", *words], environment)


def box(suite: str) -> int:
    """Build the box and say where it is."""
    require_lab()
    path: Path = build_box(suite)
    say(f"{path} ({path.stat().st_size >> 20} MB)")
    return 0
