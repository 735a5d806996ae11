"""The machine under the lab: its packages, the bridge between the hosts, the wheels they share."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.console import ROOT, Failure, run_step
from tools.lab.box import cache_folder

# Debian package to a program that shows it is there.
PACKAGES = {
    "vagrant": "vagrant",
    "vagrant-lxc": "",
    "lxc": "lxc-start",
    "lxc-templates": "",
    "dnsmasq-base": "dnsmasq",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nftables": "nft",
    "rsync": "rsync",
    "openssh-client": "ssh",
    "sudo": "sudo",
    "pebble": "pebble",  # an ACME authority for the tests
}
BRIDGE = Path("/sys/class/net/lxcbr0")
STATE = ROOT / ".cairn" / "lab"
WALLET = "founder"
LOCK = ROOT / "requirements" / "mysql.txt"


def why_not() -> str:
    """Why this machine can run no lab, in words; an empty text when it can."""
    if not sys.platform.startswith("linux"):
        return "the lab needs Linux"
    if os.geteuid() != 0:
        return "the lab needs root, to run LXC containers"
    if not shutil.which("lxc-start") and not shutil.which("apt-get"):
        return "the lab needs LXC, and there is no apt-get to install it"
    if not Path("/sys/fs/cgroup").is_dir():
        return "the lab needs control groups"
    return ""


def require_lab() -> None:
    """Make sure that this machine can run the lab: packages installed and the bridge up."""
    reason = why_not()
    if reason:
        raise Failure(f"{reason[0].upper()}{reason[1:]}.")
    STATE.mkdir(parents=True, exist_ok=True)
    missing = [name for name, program in PACKAGES.items() if not _is_there(name, program)]
    log = STATE / "setup.log"
    if missing:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        advice = f"All of it is in {log}."
        run_step("fetching package lists", ["apt-get", "update"], log, advice, **quiet)
        command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        run_step(f"installing {', '.join(missing)}", command, log, advice, **quiet)
    if not BRIDGE.exists() or _has_lost_its_addresses():
        _start_bridge(log)


def _has_lost_its_addresses() -> bool:
    """Whether lxc-net's bridge stands, but the dnsmasq that it gave addresses with has ended."""
    if not (_BRIDGE_STATE / "network_up").exists():
        return False  # another program's bridge, another program's addresses
    try:
        pid = int((_BRIDGE_STATE / "dnsmasq.pid").read_text(encoding="ascii"))
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() != "dnsmasq"
    except (OSError, ValueError):
        return True


def _start_bridge(log: Path) -> None:
    script = next((path for path in map(Path, _BRIDGE_SCRIPTS) if path.is_file()), None)
    if script is None:
        raise Failure("The lxc package's own lxc-net script was not found.")
    advice = "It needs dnsmasq, iptables, and a free network 10.0.3.0/24."
    if BRIDGE.exists():
        # The script would kill what has this number now.
        (_BRIDGE_STATE / "dnsmasq.pid").unlink(missing_ok=True)
        run_step("taking the bridge lxcbr0 down", [str(script), "stop"], log, advice)
    run_step("starting the bridge lxcbr0", [str(script), "start"], log, advice)


_BRIDGE_STATE = Path("/run/lxc")
_BRIDGE_SCRIPTS = (
    "/usr/libexec/lxc/lxc-net",
    "/usr/lib/x86_64-linux-gnu/lxc/lxc-net",
    "/usr/lib/aarch64-linux-gnu/lxc/lxc-net",
)


def _is_there(package: str, program: str) -> bool:
    if program:
        return (
            shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None
        )
    shown = subprocess.run(["dpkg", "-s", package], capture_output=True, check=False)
    return shown.returncode == 0


def share_wheels(python: str) -> Path:
    """The folder with all that the lock names, downloaded once; the hosts read it.

    It stands in for the package index inside the test hosts, which may reach none.
    """
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"wheels-{digest}"
    if not folder.is_dir():
        partial = folder.with_suffix(".new")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        log = STATE / "wheels.log"
        command = [python, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
        command += ["--no-build-isolation", "-r", str(LOCK), "-d", str(partial)]
        run_step("downloading the hosts' wheels", command, log, f"All of it is in {log}.")
        partial.rename(folder)
    return folder


def make_deploy_key() -> Path:
    """The key that may push to the lab's hosts; kept for as long as the checkout is."""
    key = STATE / "deploy_key"
    if not key.is_file():
        STATE.mkdir(parents=True, exist_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return key


def make_network(cairn: str) -> None:
    """A network of the lab's own, quick and easily mined, and a wallet that holds its coins."""
    genesis = STATE / "genesis.toml"
    wallets = STATE / "wallets"
    shutil.rmtree(wallets, ignore_errors=True)
    own = ["--wallet-dir", str(wallets)]
    new = [cairn, "genesis", "new", "--name", "lab", "--prefix", "lab", "--symbol", "LAB", *own]
    new += ["--allocate", f"{WALLET}=1000000", "--interval", "3", "--hash-rate", "1000000"]
    log = STATE / "network.log"
    for command in ([cairn, "wallet", "new", WALLET, *own], [*new, "--force", "-o", str(genesis)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode != 0:
            raise Failure(f"The lab's network could not be made:\n{done.stdout}{done.stderr}")
