"""Overrides, StartTask, task-level limits and tasks of services: what a call adds to a definition."""

from __future__ import annotations

from docker_world import CGROUPS, STAY, World, by_name, cgroup

MIB = 1024 * 1024


def test_overrides_replace_what_the_definition_says(world: World) -> None:
    definition = world.register(
        world.container(
            script="exit 1",
            cpu=64,
            memory=32,
            environment=[{"name": "KEPT", "value": "1"}, {"name": "CHANGED", "value": "1"}],
        ),
        cpu="256",
        memory="128",
    )
    override = {
        "name": "main",
        "command": ["sh", "-c", "env; echo done; " + STAY],
        "environment": [{"name": "CHANGED", "value": "2"}, {"name": "NEW", "value": "3"}],
        "cpu": 128,
        "memory": 64,
        "memoryReservation": 16,
    }
    reply = world.ecs.run_task(
        taskDefinition=definition,
        overrides={"containerOverrides": [override], "cpu": "512", "memory": "256"},
    )
    task = reply["tasks"][0]["taskArn"]
    running = world.reaches(task, "RUNNING")
    facts = world.facts(task)
    assert (facts["KEPT"], facts["CHANGED"], facts["NEW"]) == ("1", "2", "3")
    host = world.inspect(task)["HostConfig"]
    assert (host["CpuShares"], host["Memory"], host["MemoryReservation"]) == (128, 64 * MIB, 16 * MIB)
    assert (running["cpu"], running["memory"]) == ("512", "256")
    assert running["overrides"]["containerOverrides"][0]["command"] == override["command"]
    assert task_limits(world, task) == (256 * MIB, 0.5)
    world.stop(task)


def test_a_tasks_limits_hold_all_of_its_containers_and_go_with_it(world: World) -> None:
    task = world.run(world.container(), world.container("beside"), cpu="1 vCPU", memory="0.5GB")
    world.reaches(task, "RUNNING")
    folders = {cgroup(world.inspect(task, name)["State"]["Pid"], "memory").parent for name in ("main", "beside")}
    (folder,) = folders
    assert task.rpartition("/")[2] in folder.name
    assert task_limits(world, task) == (512 * MIB, 1.0)
    world.stop(task)
    left = [path for path in CGROUPS.rglob(f"*{task.rpartition('/')[2]}*") if path.is_dir()]
    assert left == []


def test_a_task_is_ended_by_its_own_limit(world: World) -> None:
    # Neither container has a limit of its own; both count towards the task's.
    script = "head -c 200m /dev/zero | tail > /dev/null; echo ended=$?; echo done; " + STAY
    hog, beside = world.container("hog", script, memory=None), world.container("beside", memory=None)
    task = world.run(hog, beside, memory="32", cpu="256")
    world.reaches(task, "RUNNING")
    assert world.facts(task, "hog")["ended"] == "137"
    assert world.inspect(task, "hog")["HostConfig"]["Memory"] == 0
    world.stop(task)


def test_start_task_runs_on_the_instance_that_was_named(world: World) -> None:
    (instance,) = world.ecs.list_container_instances()["containerInstanceArns"]
    definition = world.register(world.container(script="echo $WHO; echo done; " + STAY))
    reply = world.ecs.start_task(
        taskDefinition=definition,
        containerInstances=[instance],
        startedBy="somebody",
        overrides={"containerOverrides": [{"name": "main", "environment": [{"name": "WHO", "value": "me"}]}]},
    )
    assert reply["failures"] == []
    task = reply["tasks"][0]["taskArn"]
    running = world.reaches(task, "RUNNING")
    assert running["containerInstanceArn"] == instance
    assert running["startedBy"] == "somebody"
    assert world.output(task, until="done") == "me\ndone\n"
    world.stop(task)


def test_a_service_replaces_a_container_that_ends(world: World) -> None:
    definition = world.register(world.container())
    world.ecs.create_service(serviceName="kept", taskDefinition=definition, desiredCount=1)
    try:
        world.ecs.get_waiter("services_stable").wait(services=["kept"], WaiterConfig={"Delay": 1, "MaxAttempts": 40})
        (first,) = world.ecs.list_tasks(serviceName="kept")["taskArns"]
        world.engine.call("POST", f"/containers/{world.runtime_id(first)}/kill")
        stopped = world.reaches(first, "STOPPED")
        assert stopped["stopCode"] == "EssentialContainerExited"
        assert by_name(stopped)["main"]["exitCode"] == 137
        (second,) = world.wait_for_tasks("kept", 1, without=first)
        assert world.reaches(second, "RUNNING")["startedBy"].startswith("ecs-svc/")
    finally:
        world.ecs.delete_service(service="kept", force=True)
        world.ecs.get_waiter("services_inactive").wait(services=["kept"], WaiterConfig={"Delay": 1, "MaxAttempts": 40})


def task_limits(world: World, task: str) -> tuple[int, float]:
    """Bytes of memory and processors that the task's containers share."""
    pid = world.inspect(task)["State"]["Pid"]
    memory, cpu = cgroup(pid, "memory").parent, cgroup(pid, "cpu").parent
    if (memory / "memory.limit_in_bytes").exists():
        quota, period = (int((cpu / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return int((memory / "memory.limit_in_bytes").read_text()), quota / period
    quota, period = map(int, (cpu / "cpu.max").read_text().split())
    return int((memory / "memory.max").read_text()), quota / period
