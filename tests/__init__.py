"""The tests of Cairn; a package, so that its helpers import as `tests.support.…`."""
