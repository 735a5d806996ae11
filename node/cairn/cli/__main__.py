"""`python -m cairn.cli` is the `cairn` command."""

from cairn.cli import main

main()
