"""Public vectors, and this project's own for every byte layout (`*.json`, frozen)."""
