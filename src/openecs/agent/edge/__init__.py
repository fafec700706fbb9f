"""Load balancers on a host: Envoy's configuration and process, namespaces, probes and draining.

One Envoy per host serves every load balancer that has a part here.  It runs in a session of its
own, reads its configuration from files, and goes on while the agent is away.  Nothing in here
decides where a load balancer lives or which targets it has: documents say so.
"""
