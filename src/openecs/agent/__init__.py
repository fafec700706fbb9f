"""The node agent: runs the tasks that the control plane assigns to this host.

It speaks the ECS agent protocol over the network and nothing else: it shares no file, no
memory and no import of state with the control plane.
"""
