"""The `cairn` command. Importing this does nothing; `main` loads what the call needs."""


def main() -> None:
    """Entry point of the `cairn` command; ends the process with the call's exit code."""
    from cairn.cli.app import cairn

    cairn()
