"""What answers on a host: asked inside, and by scanning it from another one."""

from testinfra.host import Host

from tests.support.lab import Lab, LabHost

WEB = {80, 443}
PEERS = {28600, 28601}

_SCAN = """
import asyncio, sys
gate = asyncio.Semaphore(8000)
async def try_port(port):
    async with gate:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port), 1.5)
        except (OSError, asyncio.TimeoutError):
            return
        print(port)
        writer.close()
async def scan():
    await asyncio.gather(*map(try_port, range(1, 65536)))
asyncio.run(scan())
"""


def _scan(scanner: LabHost, address: str) -> set[int]:
    """Which of all ports answer."""
    return set(
        map(
            int,
            scanner.check_output(f"ulimit -n 9000; python3 -c '{_SCAN}' {address}", 300).split(),
        )
    )


def test_only_the_named_ports_listen_beyond_loopback(host: Host) -> None:
    listening = {
        tuple(name.removeprefix("tcp://").rsplit(":", 1) if ":" in name[6:] else ("", name[6:]))
        for name in host.socket.get_listening_sockets()
        if name.startswith("tcp://")
    }
    beyond = {
        int(port) for address, port in listening if address.strip("[]") not in ("127.0.0.1", "::1")
    }
    assert PEERS | {22, 80} <= beyond
    assert beyond <= PEERS | WEB | {22}


def test_a_peer_reaches_nothing_but_the_named_ports(lab: Lab) -> None:
    target, scanner = lab["node2"], lab["node1"]
    found = _scan(scanner, target.address)
    assert PEERS | {22, 80} <= found
    assert found <= PEERS | WEB | {22}


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
