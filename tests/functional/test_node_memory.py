"""What an idle node's three programs hold in memory together."""

from pathlib import Path

from tests.support.network import LocalNetwork, LocalNode
from tests.support.rest import RestApi

LIMIT_KIB = 350 * 1024
WEB_WORKERS = 2
CALLS = 60


def test_idle_node_stays_under_350_mib(
    quiet: LocalNetwork,
) -> None:
    """Also after pages were served, when every web worker has loaded what it loads late."""
    [node] = quiet.nodes
    _visit(node.api)
    resident = _memory(node, "Rss")
    shared_once = _memory(node, "Pss")
    print(f"resident: {resident} = {sum(resident.values()) // 1024} MiB")
    print(f"proportional: {shared_once} = {sum(shared_once.values()) // 1024} MiB")
    assert len(_group(node.node.programs["web"].pid)) == 1 + WEB_WORKERS
    assert sum(resident.values()) < LIMIT_KIB


def _visit(api: RestApi) -> None:
    paths = ["/", "/api/v1/status", "/api/v1/blocks", "/api/v1/openapi.json", "/api/v1/metrics"]
    for number in range(CALLS):
        assert api.call("GET", paths[number % len(paths)]).status == 200


def _memory(node: LocalNode, field: str) -> dict[str, int]:
    """KiB by program, those of its children included."""
    return {
        name: sum(_field(pid, field) for pid in _group(program.pid))
        for name, program in node.node.programs.items()
    }


def _field(pid: int, field: str) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    [line] = [line for line in text.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1])


def _group(leader: int) -> list[int]:
    """The processes of a program: each program leads a group of its own."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[2]) == leader:
            members.append(int(entry.name))
    return members
