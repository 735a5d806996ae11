"""Nonce search: a kernel in pure Python, a native one with the same interface, workers."""
