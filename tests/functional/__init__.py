"""Tests of whole networks: real processes, reached as people and peers reach them."""
