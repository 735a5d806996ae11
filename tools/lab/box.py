"""Building the box: a Debian that boots systemd in an LXC container, packed for Vagrant.

It holds what a rented server holds, and no more: systemd, Python, sshd. To spare minutes the
packages that every host will install lie, not installed, in apt's cache, and dpkg neither syncs
each file nor unpacks documentation and manuals.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tools.console import Failure, run_step, say

SUITES = ("bookworm", "trixie")
BARE = (
    "systemd,systemd-sysv,dbus,python3,python3-apt,openssh-server,iproute2,sudo,"
    "ca-certificates,libpam-systemd"
)
# Fetched, not installed: what the roles will ask apt for.
FETCHED = (
    "build-essential pkg-config python3-dev python3-venv default-libmysqlclient-dev "
    "mariadb-server python3-pymysql nftables fail2ban python3-systemd unattended-upgrades "
    "nginx openssl libgmp-dev acl git curl rsync logrotate"
)
QUICK_DPKG = ("force-unsafe-io", *(f"path-exclude=/usr/share/{one}/*" for one in ("doc", "man")))
LXC_CONFIG = """\
lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed
lxc.apparmor.profile = unconfined
lxc.cap.drop =
lxc.pty.max = 1024
"""
NETWORK = """\
[Match]
Name=eth0
[Network]
DHCP=ipv4
[DHCPv4]
ClientIdentifier=mac
"""
HOST_KEYS_UNIT = "lab-hostkeys.service"
HOST_KEYS = """\
[Unit]
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A
[Install]
WantedBy=multi-user.target
"""
# Vagrant's well-known first key (it is public); `vagrant up` replaces it by one of its own.
KEYS = "/usr/share/rubygems-integration/all/gems/vagrant-*/keys/vagrant.pub"
OWN_CERTIFICATES = Path("/usr/local/share/ca-certificates")
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
RECIPE = Path(__file__)
TEMPORARY = "/var/tmp"  # noqa: S108 - on a disk, where /tmp may be memory


def cache_folder() -> Path:
    """Where boxes and downloaded wheels stay, shared by all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cairn"


def box_path(suite: str) -> Path:
    """Where the box of one Debian suite lies; a changed recipe gives another path."""
    digest = hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]
    return cache_folder() / f"cairn-{suite}-{digest}.box"


def package_source(label: str) -> str | None:
    """Where this machine's apt has Debian's packages from; None when it has no such source.

    `label` is that of the archive: `Debian`, or `Debian-Security`.
    """
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    command += ["Origin: Debian", f"Label: {label}", "Component: main"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return next(iter(told.split()), None)


def build_box(suite: str) -> Path:
    """The box of `suite`, built unless the cache holds it."""
    target = box_path(suite)
    if target.is_file():
        return target
    if os.geteuid() != 0:
        raise Failure("Building the box needs root: sudo ./dev box")
    if shutil.disk_usage(TEMPORARY).free < 4 << 30:
        raise Failure(f"Building the box needs 4 GB free in {TEMPORARY}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    say(f"Building the {suite} box, once:")
    with tempfile.TemporaryDirectory(prefix="cairn-box-", dir=TEMPORARY) as name:
        folder = Path(name)
        log = cache_folder() / f"box-{suite}.log"
        log.unlink(missing_ok=True)
        _bootstrap(suite, folder, log)
        _pack(folder, log)
        shutil.move(folder / "cairn.box", target.with_suffix(".new"))
    target.with_suffix(".new").replace(target)
    return target


def _bootstrap(suite: str, folder: Path, log: Path) -> None:
    """Make `folder`/rootfs.tar, the host's file system."""
    packages, security = package_source("Debian"), package_source("Debian-Security")
    if packages is None:
        raise Failure(
            "The box is made of the packages of this machine's own source, and apt knows none of "
            "Debian: on a Debian machine, sudo apt-get update; on another, add a Debian source."
        )
    command = ["mmdebstrap", "--variant=apt", "--skip=cleanup/apt,cleanup/reproducible"]
    command += [f"--include={BARE}"]
    for script in _hooks(folder):
        command.append(f"--customize-hook={script}")
    command += [suite, str(folder / "rootfs.tar")]
    command += [f"deb {packages} {suite} main", f"deb {packages} {suite}-updates main"]
    if security is not None:
        command.append(f"deb {security} {suite}-security main")
    run_step(f"installing a bare {suite}", command, log, f"All of it is in {log}.")


def _hooks(folder: Path) -> list[str]:
    """Shell commands that mmdebstrap runs on the finished system, `$1` being its root."""
    keys = sorted(Path("/").glob(KEYS.lstrip("/")))
    if not keys:
        raise Failure("Vagrant's first key was not found; is the vagrant package installed?")
    (folder / "eth0.network").write_text(NETWORK, encoding="utf-8")
    (folder / HOST_KEYS_UNIT).write_text(HOST_KEYS, encoding="utf-8")
    return [
        f"copy-in {folder / 'eth0.network'} /etc/systemd/network",
        'chroot "$1" systemctl enable systemd-networkd ssh',
        'chroot "$1" systemctl mask systemd-networkd-wait-online',
        'chroot "$1" useradd --create-home --shell /bin/bash vagrant',
        'install -d -m 700 "$1/home/vagrant/.ssh"',
        f'install -m 600 {keys[-1]} "$1/home/vagrant/.ssh/authorized_keys"',
        'chroot "$1" chown -R vagrant: /home/vagrant/.ssh',
        'echo "vagrant ALL=(ALL) NOPASSWD: ALL" > "$1/etc/sudoers.d/vagrant"',
        'chmod 440 "$1/etc/sudoers.d/vagrant"',
        # The hosts live for minutes: no wait for the disk, and nothing that only people read.
        f'printf "%s\\n" {" ".join(QUICK_DPKG)} > "$1/etc/dpkg/dpkg.cfg.d/lab"',
        'echo "127.0.0.1 localhost" > "$1/etc/hosts"; : > "$1/etc/default/locale"',
        f'chroot "$1" apt-get install -y --download-only --no-install-recommends {FETCHED}',
        *_trust_hooks(),
        # Each host makes its own.
        'rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/hostname"; : > "$1/etc/machine-id"',
        'rm -f "$1/etc/resolv.conf"; echo "nameserver 10.0.3.1" > "$1/etc/resolv.conf"',
        f'install -m 644 {folder / HOST_KEYS_UNIT} "$1/etc/systemd/system"',
        f'chroot "$1" systemctl enable {HOST_KEYS_UNIT}',
        'rm -rf "$1/usr/share/doc" "$1/usr/share/man" "$1/usr/share/locale"',
    ]


def _trust_hooks() -> list[str]:
    """What lets the hosts reach what this machine reaches: its own certificates, its wheels."""
    hooks = []
    for path in sorted(OWN_CERTIFICATES.rglob("*.crt")):
        hooks.append(f"copy-in {path} /usr/local/share/ca-certificates")
    hooks.append('chroot "$1" update-ca-certificates')
    if BUNDLE.is_file():
        hooks.append(f'install -m 644 {BUNDLE} "$1/etc/ssl/certs/ca-certificates.crt"')
    wheels = '"[global]" "no-index = true" "find-links = /srv/lab-wheels"'
    hooks.append(f'printf "%s\\n" {wheels} > "$1/etc/pip.conf"')
    return hooks


def _pack(folder: Path, log: Path) -> None:
    """Make `folder`/cairn.box of `folder`/rootfs.tar."""
    pack = (
        'mkdir "$0/rootfs" && tar -C "$0/rootfs" --numeric-owner -xf "$0/rootfs.tar" && '
        # vagrant-lxc strips two components of each name.
        'tar -C "$0" --numeric-owner -c ./rootfs | gzip -1 > "$0/rootfs.tar.gz"'
    )
    command = ["sh", "-c", pack, str(folder)]
    run_step("packing it", command, log, f"All of it is in {log}.")
    metadata = {"provider": "lxc", "version": "1.0.0"}
    (folder / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (folder / "lxc-config").write_text(LXC_CONFIG, encoding="utf-8")
    with tarfile.open(folder / "cairn.box", "w") as box:
        for name in ("metadata.json", "lxc-config", "rootfs.tar.gz"):
            box.add(folder / name, name)
