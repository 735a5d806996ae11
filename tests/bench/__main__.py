"""`python -m tests.bench`: prints every figure, with what it should reach."""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.consensus import block_figures, signature_figures
from tests.bench.measure import Figure
from tests.bench.node import node_figures
from tests.bench.pages import page_figures
from tests.bench.reference import machine_figures
from tests.support.mariadb import PrivateMariaDB

PARTS = ("machine", "signatures", "blocks", "sqlite", "mariadb", "pages")


def main() -> int:
    """Runs the parts asked for. Exit 0 whatever the figures: they inform, they don't judge."""
    parser = argparse.ArgumentParser(
        prog="./dev bench",
        description="Measure Cairn beside the machine's own figures from the same run.",
        epilog="examples:\n  ./dev bench\n  ./dev bench signatures blocks\n  ./dev bench --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.parts) - set(PARTS)):
        parser.error(f"no part {unknown[0]}; there are {', '.join(PARTS)}")
    figures = []
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder, PrivateMariaDB() as mariadb:
        for figure in _figures(set(arguments.parts or PARTS), Path(folder), mariadb):
            progress.print(f"  {figure.work}: {figure.value:,.1f} {figure.unit}", highlight=False)
            figures.append(figure)
    if arguments.json:
        json.dump([_as_dict(figure) for figure in figures], sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        Console().print(_table(figures))
    return 0


def _figures(parts: set[str], folder: Path, mariadb: PrivateMariaDB) -> Iterator[Figure]:
    if "machine" in parts:
        yield from machine_figures(folder, mariadb.create_database("bench_reference"))
    if "signatures" in parts:
        yield from signature_figures()
    if "blocks" in parts:
        yield from block_figures([mariadb.create_database(f"bench_block_{n}") for n in range(2)])
    for database in ("sqlite", "mariadb"):
        if database in parts:
            place = folder / database
            place.mkdir()
            urls = (
                [mariadb.create_database(f"bench_node_{n}") for n in range(2)]
                if database == "mariadb"
                else []
            )
            yield from node_figures(place, "SQLite" if database == "sqlite" else "MariaDB", urls)
    if "pages" in parts:
        for database, url in (("SQLite", ""), ("MariaDB", mariadb.create_database("bench_pages"))):
            place = folder / f"pages-{database}"
            place.mkdir()
            yield from page_figures(place, database, url)


def _table(figures: list[Figure]) -> Table:
    table = Table(title=f"Cairn on Python {platform.python_version()}, medians")
    table.add_column("work")
    for name in ("measured", "to reach"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for figure in figures:
        sign = "≥" if figure.unit == "/s" else "≤"
        reach = "" if figure.reach is None else f"{sign} {figure.reach:,.0f} {figure.unit}"
        verdict = {True: "[green]reached[/]", False: "[red]missed[/]", None: "[dim]machine[/]"}
        value = f"{figure.value:,.1f}" if figure.unit == "ms" else f"{figure.value:,.0f}"
        table.add_row(figure.work, f"{value} {figure.unit}", reach, verdict[figure.is_reached])
    return table


def _as_dict(figure: Figure) -> dict[str, object]:
    return {
        "work": figure.work,
        "value": round(figure.value, 2),
        "unit": figure.unit,
        "reach": figure.reach,
        "reached": figure.is_reached,
    }


if __name__ == "__main__":
    sys.exit(main())
