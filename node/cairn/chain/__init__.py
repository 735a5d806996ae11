"""Decisions over stored blocks: fork choice, reorganisation, the pool, block templates.

Storage is reached through the `ChainStore` protocol alone.
"""
