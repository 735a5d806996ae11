"""Messages between a node's own processes, over ZMQ on unix sockets in the run directory.

The listener binds both: a ROUTER that answers requests (`listener.sock`) and a PUB of events
(`events.sock`). File permissions are their lock.
"""
