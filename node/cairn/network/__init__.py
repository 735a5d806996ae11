"""How nodes find, hear and ask each other: signed records, CURVE sockets, gossip and sync.

The ledger is reached through `port.LedgerPort` alone; what a peer sends is decoded once, at
the edge, into bounded and typed messages.
"""
