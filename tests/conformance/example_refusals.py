"""The examples that OpenECS refuses: with which code, and the words that name the thing.

Each is about a feature that is not there yet, or never will be.  None is stored and ignored.
"""

from __future__ import annotations

from collections.abc import Callable

from example_world import World

NO_OPERATION = "UnsupportedOperationException"
CLIENT = "ClientException"


def _a_cluster(*names: str) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        for name in names:
            world.cluster(name)

    return prepare


def _a_service(world: World) -> None:
    world.service("mycluster", "my-http-service", desiredCount=0)
    world.service("MyCluster", "my-http-service", desiredCount=0)


def _an_instance(world: World) -> None:
    world.names["a1b2c3d4-5678-90ab-cdef-11111EXAMPLE"] = world.instance("default")
    world.names["765936fadbdd46b5991a4bd70c2a43d4"] = world.instance("default")
    world.fargate("mytaskdef")
    world.cluster("mycluster")
    world.definition("mytaskdef")


def _a_task(world: World) -> None:
    world.instance("MyCluster")
    world.names["d789e94343414c25b9f6bd59eEXAMPLE"] = world.task("MyCluster")


def _nothing(world: World) -> None:
    """The command is refused whatever there is."""


#: Example → (preparation, code, words of the message).
REFUSED: dict[str, tuple[Callable[[World], None], str, str]] = {
    "ecs/create-capacity-provider#1": (_nothing, CLIENT, "managedScaling.status ENABLED"),
    "ecs/create-service#4": (_a_cluster("MyCluster"), CLIENT, "loadBalancerName"),
    "ecs/create-service#5": (_a_cluster("mycluster"), CLIENT, "volumeConfigurations"),
    "ecs/execute-command#1": (_a_task, NO_OPERATION, "ExecuteCommand"),
    "ecs/list-services-by-namespace#1": (_nothing, "NamespaceNotFoundException", "service-connect"),
    "ecs/run-task#2": (_an_instance, CLIENT, "volumeConfigurations"),
    "ecs/start-task#2": (_an_instance, CLIENT, "volumeConfigurations"),
    # The page writes two keys as one with a comma, which the model does not allow in a key.
    "ecs/untag-resource#1": (_a_cluster("MyCluster"), "InvalidParameterException", "tagKeys"),
    "ecs/update-container-agent#1": (_an_instance, CLIENT, "UpdateContainerAgent"),
    "ecs/update-service#3": (_a_service, CLIENT, "volumeConfigurations"),
}
