"""Where nodes may be: forms of endpoints, and which addresses are routable."""

import asyncio
from ipaddress import ip_address

import pytest

from cairn.consensus.errors import Rule, RuleError
from cairn.network.addresses import (
    check_endpoint,
    is_hostname,
    is_routable,
    parse_endpoint,
    parse_ranges,
    resolve_endpoint,
)

LAN = parse_ranges(["10.0.0.0/8", "fd00::/8"])
LOOPBACK = parse_ranges(["127.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    "text",
    ["tcp://1.1.1.1:28600", "tcp://[2606:4700::1111]:1", "tcp://node-1.example.org:65535"],
)
def test_reads_and_writes_endpoints(text: str) -> None:
    assert str(parse_endpoint(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.1.1.1:80",
        "udp://1.1.1.1:80",
        "tcp://1.1.1.1",
        "tcp://1.1.1.1:0",
        "tcp://1.1.1.1:65536",
        "tcp://1.1.1.1:*",
        "tcp://*:80",
        "tcp://eth0;1.1.1.1:80",
        "tcp://a@b:80",
        "tcp://a b:80",
        "tcp://::1:80",
        "tcp://[node]:80",
        "tcp://-a:80",
        "tcp://a..b:80",
        "tcp://2130706433:80",
        "tcp://0x7f000001:80",
        "tcp://127.1:80",
        "tcp://1.2.3.4.5:80",
        "tcp://1.1.1.1:80\n",
        "tcp://" + "a" * 300 + ":80",
        "ipc:///tmp/x",
    ],
)
def test_refuses_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(RuleError) as refused:
        parse_endpoint(text)
    assert refused.value.rule is Rule.NODE_RECORD_INVALID


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_addresses_outside_the_public_internet_are_not_routable(address: str) -> None:
    assert not is_routable(ip_address(address), ())


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_are_routable(address: str) -> None:
    assert is_routable(ip_address(address), ())


def test_allowed_ranges_widen_and_nothing_else() -> None:
    assert is_routable(ip_address("10.1.2.3"), LAN)
    assert is_routable(ip_address("::ffff:10.1.2.3"), LAN)
    assert is_routable(ip_address("fd00::1"), LAN)
    assert not is_routable(ip_address("127.0.0.1"), LAN)
    assert not is_routable(ip_address("0.0.0.0"), parse_ranges(["0.0.0.0/0"]))


def test_localhost_is_loopback_before_it_is_resolved() -> None:
    for host in ("localhost", "LOCALHOST", "a.localhost", "localhost."):
        with pytest.raises(RuleError) as refused:
            check_endpoint(f"tcp://{host}:80", LAN)
        assert refused.value.rule is Rule.ADDRESS_NOT_ROUTABLE
        check_endpoint(f"tcp://{host}:80", LOOPBACK)


def test_name_is_judged_by_what_it_resolves_to() -> None:
    resolved = asyncio.run(resolve_endpoint("tcp://localhost:80", LOOPBACK))
    assert resolved in ("tcp://127.0.0.1:80", "tcp://[::1]:80")
    assert asyncio.run(resolve_endpoint("tcp://1.1.1.1:80", ())) == "tcp://1.1.1.1:80"


@pytest.mark.parametrize("name", ["a", "node-1", "a.b.example", "x_y.example", "example.org."])
def test_host_names(name: str) -> None:
    assert is_hostname(name)


@pytest.mark.parametrize("name", ["", ".", "a.", "a.1", "1", "0x1", "a/b", "ä.example", "a" * 64])
def test_what_is_no_host_name(name: str) -> None:
    assert is_hostname(name) == (name == "a.")
