"""Write docs/compatibility.md: which operations are served, what is honoured, what examples come to.

The list of operations is that of the generated models, for the services beside ECS.  The first
table is ``openecs.api.ecs.definition.support.FIELDS``.  The second says of every file
of a folder of real-world requests whether it is accepted, or with which words it is refused.
The folder is ``$OPENECS_EXAMPLES`` or ``../shared/examples``; where there is none, the second
table is left as it is.  ``--check`` writes nothing and exits 1 when the document is out of date.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openecs.api.ecs import run_validation, service_creation
from openecs.api.ecs.definition import registration, support
from openecs.errors import AWSError
from openecs.wire.generated import (
    acm,
    application_autoscaling,
    autoscaling,
    cloudwatch,
    ec2,
    elbv2,
    events,
    logs,
    scheduler,
    servicediscovery,
)
from openecs.wire.generated import ecs as service
from openecs.wire.json_codec import JsonCodec

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "compatibility.md"

#: Folder of examples → operation, and what it checks of the request by itself.
KINDS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "task-definitions": ("RegisterTaskDefinition", registration.definition),
    "services": (
        "CreateService",
        lambda request: service_creation.check_request(request, default_strategy=False),
    ),
    "run-task": ("RunTask", run_validation.refuse_unserved),
}


def examples_folder() -> Path:
    """Where the real-world requests are, if they are here at all."""
    return Path(os.environ.get("OPENECS_EXAMPLES") or ROOT.parent / "shared" / "examples")


def outcome(kind: str, body: bytes) -> AWSError | None:
    """The refusal of one request, ``None`` when it is accepted."""
    operation, check = KINDS[kind]
    try:
        check(JsonCodec().decode(service.SERVICE.operations[operation], body))
    except AWSError as refusal:
        return refusal
    return None


def field_rows() -> Iterator[str]:
    """One row for each field of the request."""
    yield "| Field | Honoured | Notes |"
    yield "| --- | --- | --- |"
    for field in support.FIELDS:
        honoured = "yes" if field.refuses is None else "no" if field.entirely else "partly"
        yield f"| `{field.path}` | {honoured} | {field.note} |"


def example_rows(folder: Path) -> Iterator[str]:
    """One row for each example file."""
    yield "| Example | Outcome |"
    yield "| --- | --- |"
    for kind in KINDS:
        for file in sorted((folder / kind).glob("*.json")):
            refusal = outcome(kind, file.read_bytes())
            accepted = "registered" if kind == "task-definitions" else "accepted"
            words = accepted if refusal is None else f"{refusal.code}: {refusal.message}".replace("|", "\\|")
            yield f"| `{kind}/{file.name}` | {words} |"


def operation_rows() -> Iterator[str]:
    """The operations of the services beside ECS: those that are served, or those that are not where they are fewer."""
    for name, model in (
        ("Amazon EC2", ec2.SERVICE),
        ("Elastic Load Balancing v2", elbv2.SERVICE),
        ("AWS Cloud Map", servicediscovery.SERVICE),
        ("AWS Certificate Manager", acm.SERVICE),
        ("CloudWatch Logs", logs.SERVICE),
        ("CloudWatch", cloudwatch.SERVICE),
        ("Application Auto Scaling", application_autoscaling.SERVICE),
        ("EC2 Auto Scaling", autoscaling.SERVICE),
        ("Amazon EventBridge", events.SERVICE),
        ("Amazon EventBridge Scheduler", scheduler.SERVICE),
    ):
        served, missing = set(model.operations), model.all_operations - set(model.operations)
        if not missing:
            yield f"* {name}: all {len(served)} operations."
        elif len(missing) < len(served):
            yield f"* {name}: {len(served)} operations; not served: {', '.join(sorted(missing))}."
        else:
            yield f"* {name}: {', '.join(sorted(served))}."


def render(text: str, folder: Path) -> str:
    """The document ``text`` with its tables brought up to date."""
    text = _between(text, "operations", operation_rows())
    text = _between(text, "fields", field_rows())
    return _between(text, "examples", example_rows(folder)) if folder.is_dir() else text


def _between(text: str, name: str, rows: Iterator[str]) -> str:
    table = "\n".join(rows)
    pattern = re.compile(rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)", re.DOTALL)
    result, count = pattern.subn(lambda match: f"{match[1]}{table}\n{match[2]}", text)
    if count != 1:
        raise SystemExit(f"{DOCUMENT}: the marks of the table {name!r} are missing.")
    return result


def main() -> None:
    """Write the document, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when out of date")
    arguments = parser.parse_args()
    before = DOCUMENT.read_text()
    after = render(before, examples_folder())
    if not arguments.check:
        DOCUMENT.write_text(after)
    elif after != before:
        print(f"{DOCUMENT} is out of date: run python tools/compatibility_table.py")
        sys.exit(1)


if __name__ == "__main__":
    main()
