"""Amounts of what tasks reserve on nodes: CPU units, MiB of memory, host ports, GPUs."""

from __future__ import annotations

from openecs.model.record import Record


class Resources(Record, frozen=True, kw_only=True):
    """An amount of capacity.  Ports are the host ports taken, never how many are free."""

    cpu: int = 0
    memory: int = 0
    ports: tuple[int, ...] = ()
    ports_udp: tuple[int, ...] = ()
    gpus: int = 0
