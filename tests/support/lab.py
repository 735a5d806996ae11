"""The lab's hosts as tests see them: over SSH as root, over HTTP as anybody."""

import json
import os
import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import testinfra
from testinfra.host import Host

from tests.support.polling import wait_until
from tests.support.rest import NoAnswer, RestApi

ROOT = Path(__file__).parents[2]
STATE = ROOT / ".cairn" / "lab"
INVENTORY = ROOT / ".vagrant/provisioners/ansible/inventory/vagrant_ansible_inventory"
SERVICES = ("cairn-listener.service", "cairn-miner.service", "cairn-web.service")
ROOT_OPTIONS = (
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes"),
)


@dataclass(frozen=True)
class Done:
    """What a command on a host did."""

    code: int
    output: str
    """Standard output and error, without space around it."""


@dataclass(frozen=True)
class LabHost:
    """One host."""

    name: str
    address: str
    key_file: str

    @cached_property
    def api(self) -> RestApi:
        """What the proxy serves on port 80."""
        return RestApi(f"http://{self.address}", timeout_seconds=5)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Of ssh: one connection for all commands."""
        control = ("-o", "ControlMaster=auto", "-o", f"ControlPath=/run/lab-{self.name}-%C")
        return (*ROOT_OPTIONS, *control, "-o", "ControlPersist=60")

    @cached_property
    def inside(self) -> Host:
        """What testinfra sees on the host, as root."""
        return testinfra.get_host(
            f"ssh://vagrant@{self.address}",
            ssh_identity_file=self.key_file,
            ssh_extra_args=" ".join(self.options),
            sudo=True,
        )

    def run(self, command: str, timeout_seconds: float = 60) -> Done:
        """Run a shell command as root."""
        ssh = ["ssh", *self.options, "-i", self.key_file]
        ssh += [f"vagrant@{self.address}", f"sudo -n sh -c {shlex.quote(command)}"]
        done = subprocess.run(
            ssh,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout.strip())

    def check_output(self, command: str, timeout_seconds: float = 60) -> str:
        """What the command printed; it has to succeed."""
        done = self.run(command, timeout_seconds)
        assert done.code == 0, f"{self.name}: {command}: exit {done.code}: {done.output}"
        return done.output

    def unit(self, name: str, *properties: str) -> dict[str, str]:
        """A unit's properties as systemd has them now."""
        command = f"systemctl show {name} -p {','.join(properties)}"
        lines = self.check_output(command).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def status(self) -> dict[str, Any] | None:
        """/api/v1/status, or nothing when the node does not answer with it."""
        try:
            reply = self.api.call("GET", "/api/v1/status")
        except NoAnswer:
            return None
        return reply.json() if reply.status == 200 else None

    def is_ready(self) -> bool:
        """Whether the node says that it is."""
        try:
            return self.api.call("GET", "/api/v1/ready").status == 200
        except NoAnswer:
            return False

    def height(self) -> int:
        """Of the tip; -1 when the node does not tell."""
        found = self.status()
        return -1 if found is None else int(found["height"])

    def block_at(self, height: int) -> str:
        """The hash of the chain's block at this height; empty without one."""
        try:
            reply = self.api.call("GET", f"/api/v1/blocks?limit=1&before={height + 1}")
        except NoAnswer:
            return ""
        found = reply.json().get("items") if reply.status == 200 else None
        return str(found[0]["hash"]) if found and found[0]["height"] == height else ""


@dataclass(frozen=True)
class Lab:
    """All hosts that are up."""

    hosts: tuple[LabHost, ...]

    def __getitem__(self, name: str) -> LabHost:
        return next(host for host in self.hosts if host.name == name)

    def agree(self, timeout_seconds: float = 90) -> int:
        """Wait until all hosts are ready and on one chain, at a height that none had; it."""
        wait_until(
            lambda: all(host.is_ready() for host in self.hosts),
            timeout_seconds,
            "every node is ready",
            lambda: {host.name: host.status() for host in self.hosts},
        )
        goal = max(host.height() for host in self.hosts) + 1
        wait_until(
            lambda: min(host.height() for host in self.hosts) >= goal,
            timeout_seconds,
            f"every node has block {goal}",
            lambda: {host.name: host.height() for host in self.hosts},
        )
        wait_until(
            lambda: len({host.block_at(goal) for host in self.hosts} - {""}) == 1,
            timeout_seconds,
            f"every node has the same block {goal}",
            lambda: {host.name: host.block_at(goal) for host in self.hosts},
        )
        return goal

    def send(self, host: LabHost, note: str) -> str:
        """Send a transaction with a note through one host; its identifier."""
        command = [str(ROOT / ".venv/bin/cairn"), "send", "--to", "founder", "--amount", "1"]
        command += ["--note", note, "--yes", "--json", "--node", f"http://{host.address}"]
        command += [
            "--wallet-dir",
            str(STATE / "wallets"),
            "--genesis",
            str(STATE / "genesis.toml"),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r'"id":\s*"([0-9a-f]{64})"', done.stdout)
        assert found, done.stdout
        return found[1]

    def wait_mined(self, identifiers: list[str], timeout_seconds: float = 120) -> None:
        """Wait until every host shows each transaction as mined."""

        def missing() -> list[tuple[str, str]]:
            return [
                (host.name, one)
                for host in self.hosts
                for one in identifiers
                if not _is_mined(host, one)
            ]

        wait_until(lambda: not missing(), timeout_seconds, "all are mined on all", missing)


def _is_mined(host: LabHost, identifier: str) -> bool:
    try:
        reply = host.api.call("GET", f"/api/v1/transactions/{identifier}")
    except NoAnswer:
        return False
    return reply.status == 200 and '"mined"' in json.dumps(reply.json())


def read_hosts() -> tuple[LabHost, ...]:
    """The hosts that Vagrant has told Ansible about."""
    pattern = r"^(\S+) ansible_host=(\S+) .*ansible_ssh_private_key_file='([^']+)'"
    text = INVENTORY.read_text(encoding="utf-8")
    return tuple(LabHost(*found) for found in re.findall(pattern, text, re.MULTILINE))


Played = subprocess.CompletedProcess[str]


def play(*words: str, timeout_seconds: float = 600) -> Played:
    """Run a playbook over the lab."""
    environment = dict(os.environ, PATH=f"{ROOT / '.venv/bin'}:{os.environ['PATH']}")
    environment |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    command = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", "inventory/vagrant", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@dataclass
class Watcher:
    """Asks a host's proxy again and again, and notes what it did not answer well."""

    host: LabHost
    asked: int = 0

    def __post_init__(self) -> None:
        self.failures: list[str] = []
        self._stop = False

    def watch(self) -> None:
        """Ask until `stop`; run it in a thread."""
        api = RestApi(self.host.api.url, timeout_seconds=20)
        while not self._stop:
            self.asked += 1
            try:
                reply = api.call("GET", "/api/v1/blocks?limit=1")
                if reply.status != 200:
                    self.failures.append(f"{reply.status} {reply.body[:200]!r}")
            except NoAnswer as problem:
                self.failures.append(str(problem))
            time.sleep(0.05)  # the pace of the questions, not a wait for anything

    def stop(self) -> None:
        """Let `watch` end."""
        self._stop = True
