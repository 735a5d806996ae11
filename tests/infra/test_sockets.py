"""What answers on a host: asked inside, and by scanning it from another one."""

from testinfra.host import Host

from tests.support.lab import Lab, LabHost

WEB = {80, 443}
PEERS = {28600, 28601}

# Some thousand ports at a time; a port that drops what comes is given up after a while.
_SCAN = """
import select, socket, sys, time
def scan(ports):
    poll, waiting = select.epoll(), {}
    for port in ports:
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((sys.argv[1], port))
        poll.register(one, select.EPOLLOUT)
        waiting[one.fileno()] = one, port
    end = time.monotonic() + 1.5
    while waiting:
        ready = poll.poll(0.1)
        if not ready and time.monotonic() > end:
            break
        for number, _ in ready:
            one, port = waiting.pop(number)
            poll.unregister(number)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                print(port)
            one.close()
for first in range(1, 65536, 8192):
    scan(range(first, min(first + 8192, 65536)))
"""


def _scan(scanner: LabHost, address: str) -> set[int]:
    """Which of all ports answer."""
    command = f"ulimit -n 9000; python3 -c '{_SCAN}' {address}"
    return set(map(int, scanner.check_output(command, 300).split()))


def test_only_the_named_ports_listen_beyond_loopback(host: Host) -> None:
    listening = {
        tuple(name.removeprefix("tcp://").rsplit(":", 1) if ":" in name[6:] else ("", name[6:]))
        for name in host.socket.get_listening_sockets()
        if name.startswith("tcp://")
    }
    beyond = {
        int(port) for address, port in listening if address.strip("[]") not in ("127.0.0.1", "::1")
    }
    assert beyond == PEERS | WEB | {22}


def test_a_peer_reaches_nothing_but_the_named_ports(lab: Lab) -> None:
    target, scanner = lab["node2"], lab["node1"]
    found = _scan(scanner, target.address)
    assert found == PEERS | WEB | {22}


def test_a_stranger_does_not_reach_the_peer_ports(lab: Lab) -> None:
    # An address beside its own makes node1 a stranger to the allow-list of node2.
    scanner, target = lab["node1"], lab["node2"]
    stranger = "10.0.3.253"
    scanner.check_output(f"ip address add {stranger}/24 dev eth0")
    try:
        for port in sorted(PEERS):
            connect = f's.create_connection(("{target.address}",{port}),2,("{stranger}",0))'
            assert scanner.run(f"python3 -c 'import socket as s; {connect}'").code != 0
        connect = f's.create_connection(("{target.address}",80),2,("{stranger}",0))'
        assert scanner.run(f"python3 -c 'import socket as s; {connect}'").code == 0
    finally:
        scanner.check_output(f"ip address del {stranger}/24 dev eth0")


def test_the_web_socket_is_the_proxys_alone(host: Host) -> None:
    path = "/run/cairn-web.sock"
    socket = host.file(path)
    assert socket.is_socket
    assert socket.mode in (0o660, 0o600)
    for user in ("nobody", "deploy", "cairn-miner"):
        connect = f's=socket.socket(socket.AF_UNIX); s.connect("{path}")'
        done = host.run("runuser -u %s -- python3 -c %s", user, f"import socket; {connect}")
        assert "PermissionError" in done.stderr, user
