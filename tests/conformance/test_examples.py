"""Every command of the ECS and CloudWatch Logs example pages of the AWS CLI.

A command is run against an installation in which its names exist, and its reply is compared
with the documented one; or it is one of those that are refused, with a clear error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_support import Installation
from example_cli import CommandLine
from example_differences import EXPLAINED, differences, unexplained
from example_pages import Example, examples, pages
from example_preparations import BY_EXAMPLE, BY_OPERATION, preparation
from example_refusals import REFUSED
from example_world import ACCOUNT, LENT_TO, World

ALL = [*examples("ecs"), *examples("logs")]
#: Pages whose output is no JSON; only that the command is answered can be said of them.
BROKEN = frozenset({"ecs/put-cluster-capacity-providers#2"})
ANSWERED = [example for example in ALL if example.id not in REFUSED]


@pytest.fixture(scope="module")
def pages_installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with the pages' account, whose machine is in the pages' clusters."""
    lent = [word for cluster in LENT_TO for word in ("--lend-to", cluster)]
    installation = Installation(
        tmp_path_factory.mktemp("pages"), "--runtime", "fake", "--account-id", ACCOUNT, *lent, "--memory", "100000"
    )
    installation.up()
    yield installation
    installation.down()


@pytest.fixture
def world(pages_installation: Installation, request: pytest.FixtureRequest) -> World:
    example: Example = request.getfixturevalue("example")
    return World(pages_installation, f"page-{ALL.index(example) + 1}", example)


@pytest.fixture
def command_line(
    pages_installation: Installation, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> CommandLine:
    return CommandLine(pages_installation, world.region, monkeypatch, tmp_path)


@pytest.mark.parametrize("example", ANSWERED, ids=lambda example: example.id)
def test_an_example_is_answered_as_documented(
    example: Example, world: World, command_line: CommandLine, tmp_path: Path
) -> None:
    prepare = preparation(example)
    assert prepare is not None, f"{example.id}: say how to prepare it, or that it is refused"
    assert example.unreadable == (example.id in BROKEN), f"is the documented output of {example.id} JSON?"
    prepare(world)
    outcome = command_line.aws(*world.words(tmp_path))
    assert outcome.status == 0, f"{' '.join(example.words)}\n{outcome.stdout}\n{outcome.stderr}"
    if example.output is not None:
        assert outcome.data.get("failures", []) == []
        lacking = unexplained(example.id, differences(example.output, outcome.data))
        assert not lacking, "\n".join(lacking)


@pytest.mark.parametrize("example", [e for e in ALL if e.id in REFUSED], ids=lambda example: example.id)
def test_an_example_is_refused_by_name(
    example: Example, world: World, command_line: CommandLine, tmp_path: Path
) -> None:
    prepare, code, words = REFUSED[example.id]
    prepare(world)
    outcome = command_line.aws(*world.words(tmp_path))
    assert outcome.status == 254 or outcome.status == 255, outcome
    assert outcome.stdout == ""
    assert f"({code})" in outcome.stderr, outcome.stderr
    assert words in outcome.stderr.partition("operation: ")[2], outcome.stderr


def test_the_pages_are_all_read() -> None:
    """Fewer commands than the package had when this was written means that the reader is blind."""
    assert {example.page for example in ALL} == {
        page.removesuffix(".rst") for service in ("ecs", "logs") for page in pages(service)
    }
    assert len(ALL) >= 97
    assert sum(example.output is not None for example in ALL) >= 76


def test_the_tables_hold_nothing_that_is_not_on_a_page() -> None:
    ids = {example.id for example in ALL}
    operations = {example.operation for example in ANSWERED}
    assert set(REFUSED) <= ids
    assert set(BY_EXAMPLE) <= ids - set(REFUSED)
    assert set(BY_OPERATION) <= operations
    for page, _, reason in EXPLAINED:
        assert any(re.fullmatch(page, name) for name in ids), page
        assert reason.endswith("."), reason
