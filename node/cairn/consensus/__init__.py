"""The pure rules of the ledger: values in, values or a `RuleError` out.

Nothing here reads a clock, a file, a socket or a random source; whatever a decision
depends on is passed in. Everything outside may import this package, and it imports
nothing of Cairn's outside itself.
"""
