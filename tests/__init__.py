"""Cairn's tests. Each is a sentence about one behaviour."""
