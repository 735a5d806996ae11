"""What answers on a host: asked inside, and by scanning it from another one."""

from tests.support.lab import Lab, LabHost

WEB = {80, 443}
PEERS = {28600, 28601}

_SCAN = """
import asyncio, sys
gate = asyncio.Semaphore(500)
async def try_port(port):
    async with gate:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(sys.argv[1], port), 1.5)
        except (OSError, asyncio.TimeoutError):
            return
        print(port)
        writer.close()
async def scan():
    await asyncio.gather(*map(try_port, map(int, sys.argv[2].split(","))))
asyncio.run(scan())
"""


def _scan(scanner: LabHost, address: str, ports: list[int]) -> set[int]:
    listed = ",".join(map(str, ports))
    command = f"python3 -c '{_SCAN}' {address} {listed}"
    return set(map(int, scanner.check_output(command, 300).split()))


def test_only_the_named_ports_listen_beyond_loopback(host: LabHost) -> None:
    lines = host.check_output("ss -H -ltn").splitlines()
    listening = {tuple(line.split()[3].rsplit(":", 1)) for line in lines}
    beyond = {
        int(port) for address, port in listening if address.strip("[]") not in ("127.0.0.1", "::1")
    }
    assert PEERS | {22, 80} <= beyond
    assert beyond <= PEERS | WEB | {22}


def test_a_peer_reaches_nothing_but_the_named_ports(lab: Lab) -> None:
    target, scanner = lab["node2"], lab["node1"]
    ports = sorted({*range(1, 4096), 6379, 8000, 8080, 9000, 11211, *PEERS, 33060})
    found = _scan(scanner, target.address, ports)
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


def test_the_web_socket_is_the_proxys_alone(host: LabHost) -> None:
    found = host.check_output("stat -c '%F %U %a' /run/cairn-web.sock").split()
    assert found[0] == "socket"
    assert found[-1] in ("660", "600")
    for user in ("nobody", "deploy", "cairn-miner"):
        connect = 's=socket.socket(socket.AF_UNIX); s.connect("/run/cairn-web.sock")'
        done = host.run(f"runuser -u {user} -- python3 -c 'import socket; {connect}'")
        assert "PermissionError" in done.output, user
