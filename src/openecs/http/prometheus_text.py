"""Prometheus' text format, version 0.0.4: families of samples to bytes.  Pure; no registry."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


Kind = Literal["counter", "gauge", "histogram"]


class Sample(NamedTuple):
    """One value; ``suffix`` comes after the family's name, as histograms have it."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Family(NamedTuple):
    """All samples of one name."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


def gauge(name: str, text: str, value: float) -> Family:
    """A family of one value."""
    return Family(name, "gauge", text, (Sample(value),))


def counter(name: str, text: str, value: float) -> Family:
    """The same of one that only grows."""
    return Family(name, "counter", text, (Sample(value),))


def histogram(bounds: Sequence[float], counts: Sequence[int], total: float, labels: Mapping[str, str]) -> list[Sample]:
    """The samples of one histogram; ``counts`` are of each bucket alone, the last of what is above all ``bounds``."""
    samples, so_far = [], 0
    for bound, count in zip((*bounds, math.inf), counts, strict=True):
        so_far += count
        samples.append(Sample(so_far, {**labels, "le": _number(bound)}, "_bucket"))
    samples += [Sample(total, labels, "_sum"), Sample(so_far, labels, "_count")]
    return samples


def render(families: Iterable[Family]) -> bytes:
    """The page; families without samples are left out."""
    lines: list[str] = []
    for family in families:
        if family.samples:
            text = family.help.replace("\\", r"\\").replace("\n", r"\n")
            lines += [f"# HELP {family.name} {text}", f"# TYPE {family.name} {family.kind}"]
            lines += [f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in family.samples]
    lines.append("")
    return "\n".join(lines).encode()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
