"""The agent protocol: messages, sans-I/O sessions, the gateway (server side) and the link (agent side).

``messages`` and the sessions know nothing of state, sockets or time; the gateway is the only
module here that touches state, the link the only one that dials.
"""
