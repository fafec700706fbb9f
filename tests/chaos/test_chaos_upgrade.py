"""A data directory written by an earlier version is taken over as it is.

``old_journal.jsonl`` holds records as the first version wrote them, one a line, with no field
that came later.  A field that is added to a record without a default, renamed or narrowed makes
these tests fail, and would make people's installations fail to start.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from chaos_processes import Cell

from openecs.control.region_networks import RegionNetworks
from openecs.model.network import region_network
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.state.table import Table

OLD = [json.loads(line) for line in Path(__file__).with_name("old_journal.jsonl").read_text().splitlines()]


def write_journal(path: Path, records: list[dict[str, Any]]) -> None:
    """A journal in the first format."""
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE record (
                tbl TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tbl, key)
            ) WITHOUT ROWID;
            CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
            INSERT INTO meta (name, value) VALUES ('revision', 41);
            PRAGMA user_version = 1;
            """
        )
        rows = [(record["table"], record["key"], json.dumps(record["body"]).encode()) for record in records]
        database.executemany("INSERT INTO record (tbl, key, body) VALUES (?, ?, ?)", rows)
    database.close()


def old_cell(home: Path, records: list[dict[str, Any]]) -> Cell:
    write_journal(home / "journal.db", records)
    (home / "master.key").write_text("5a" * 32 + "\n")
    return Cell(home, with_agent=False)


def test_the_old_journal_has_every_kind_of_record() -> None:
    kinds = {table.name for table in vars(State(MemoryJournal())).values() if isinstance(table, Table)}
    # Keys are sealed with the installation's own master key, and nothing outlives them in a text file.
    assert {record["table"] for record in OLD} >= kinds - {"access_key"} - LATER


#: Tables that came after the first version.
LATER = {
    *("capacity_provider", "service_deployment", "service_revision", "host"),
    *("region_setup", "vpc", "subnet", "security_group", "security_group_rule", "network_acl", "route_table"),
    *("internet_gateway", "nat_gateway", "elastic_address", "interface", "vpc_endpoint", "launch_template"),
    *("load_balancer", "balancer_host", "listener", "listener_rule", "certificate"),
    *("target_group", "target", "target_health"),
    *("namespace", "discovery_service", "discovery_instance", "discovery_operation"),
    *("metric_alarm", "composite_alarm", "alarm_mute_rule", "alarm_notification", "dashboard"),
    *("metric_filter", "subscription_filter", "subscription_progress", "log_resource_policy", "query_definition"),
    *("scalable_target", "scaling_policy", "scheduled_scaling", "scaling_activity"),
    *("auto_scaling_group", "group_instance", "group_activity"),
    *(
        "event_bus",
        "event_rule",
        "event_delivery",
        "event_archive",
        "event_replay",
        "event_connection",
        "api_destination",
    ),
    *("schedule", "schedule_group", "schedule_progress", "schedule_invocation"),
}


def test_what_an_earlier_version_wrote_is_there(tmp_path: Path) -> None:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for record in OLD:
        by_kind.setdefault(record["table"], []).append(record["body"])
    with old_cell(tmp_path, OLD) as cell:
        # Tasks that stopped years ago are forgotten at once, as they are an hour after their end.
        tasks = {task["arn"]: task for task in by_kind["task"] if task["last_status"] != "STOPPED"}
        described = cell.call("DescribeTasks", tasks=list(tasks), include=["TAGS"])
        assert described["failures"] == []
        for shown in described["tasks"]:
            old = tasks[shown["taskArn"]]
            assert shown["lastStatus"] == old["last_status"]
            assert shown["createdAt"] == old["created_at"]
            assert shown.get("stoppedReason") == old.get("stopped_reason")
            assert [c.get("runtimeId") for c in shown["containers"]] == [c.get("runtime_id") for c in old["containers"]]
        (service,) = cell.call("DescribeServices", services=["web"])["services"]
        (old_service,) = by_kind["service"]
        assert service["createdAt"] == old_service["created_at"]
        assert service["desiredCount"] == old_service["desired_count"]
        assert service["events"]
        for definition in by_kind["task_definition"]:
            shown = cell.call("DescribeTaskDefinition", taskDefinition=definition["arn"])["taskDefinition"]
            assert shown["containerDefinitions"] == definition["definition"]["containerDefinitions"]
        instances = [instance["arn"] for instance in by_kind["container_instance"]]
        shown_instances = cell.call("DescribeContainerInstances", containerInstances=instances)
        assert [i["agentConnected"] for i in shown_instances["containerInstances"]] == [False] * len(instances)
        # Revisions go on from where they were.
        container = {"name": "main", "image": "busybox", "memory": 8}
        new = cell.call("RegisterTaskDefinition", family="web", containerDefinitions=[container])["taskDefinition"]
        assert new["revision"] == max(d["revision"] for d in by_kind["task_definition"] if d["family"] == "web") + 1
        cell.call("StopTask", task=next(arn for arn, task in tasks.items() if task["desired_status"] == "RUNNING"))
        cell.server.kill()
        cell.start_server()
        assert (
            cell.call("DescribeTaskDefinition", taskDefinition="web")["taskDefinition"]["revision"] == new["revision"]
        )


@pytest.mark.parametrize("kind", sorted({record["table"] for record in OLD}))
def test_fields_of_a_later_version_are_passed_over(tmp_path: Path, kind: str) -> None:
    """Going back one version must not fail on fields that only the newer one knows."""
    records = [{**r, "body": {**r["body"], "a_later_field": {"x": [1]}}} if r["table"] == kind else r for r in OLD]
    state = State(journal_of(tmp_path, records))
    state.store.load()
    assert sum(len(table) for table in vars(state).values() if isinstance(table, Table)) == len(OLD)


def test_regions_that_are_in_use_get_the_network_that_they_had(tmp_path: Path) -> None:
    """Before networks were records, their ids were derived; tasks and services carry them."""
    state = State(journal_of(tmp_path, OLD))
    state.store.load()
    regions = {cluster.region for cluster in state.clusters}
    account = next(iter(state.clusters)).arn.split(":")[4]
    RegionNetworks(state, account, "10.208.0.0/16").ensure_all("eu-west-3")
    assert {vpc.region for vpc in state.vpcs} == regions | {"eu-west-3"}
    for region in regions:
        derived = {subnet.id for subnet in region_network(account, region).subnets}
        assert {subnet.id for subnet in state.subnets.by("region", region)} == derived


def journal_of(home: Path, records: list[dict[str, Any]]) -> Any:
    from openecs.state.journal.sqlite import SqliteJournal

    write_journal(home / "journal.db", records)
    return SqliteJournal(home / "journal.db")
