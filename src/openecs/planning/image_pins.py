"""Which image every task of a deployment runs: the digest that its first started task had.  Pure.

A tag can be moved.  The first task of a deployment that reaches RUNNING settles which image each
tag meant; the tasks that the deployment starts from then on are started from that digest, until
another deployment begins.  Nothing waits for it: tasks that are started before that moment use
the tag.

Not pinned are containers whose definition says ``versionConsistency`` ``disabled``, and images
that no registry knows: they have no digest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import msgspec

from openecs.model.service import Deployment, ImagePin
from openecs.model.task import Task, TaskContainer
from openecs.shapes import ecs

#: Tasks that are asked for the digests of their images.
_ASKED = 8


def resolve(deployment: Deployment, tasks: Iterable[Task]) -> tuple[ImagePin, ...]:
    """The deployment's pins, from ``tasks`` of it when it has none yet.

    A task must have been RUNNING: what is known of it before that may be only a part of its
    containers.  Of the first few such tasks the oldest decides whose containers tell a digest.
    When none of these tells one, the images have none, and no other of thousands is asked.
    """
    if deployment.pins:
        return deployment.pins
    started = itertools.islice((task for task in tasks if task.started_at is not None), _ASKED)
    telling = [task for task in started if _pins(task)]
    if not telling:
        return ()
    return _pins(min(telling, key=lambda task: (task.created_at, task.arn)))


def is_pinned(container: ecs.ContainerDefinition) -> bool:
    """Whether a deployment keeps to one image for the container; AWS's default is that it does."""
    return container.version_consistency != "disabled"


def digest_for(pins: Iterable[ImagePin], container: ecs.ContainerDefinition) -> str | None:
    """The digest to start a container from, ``None`` when its image is to be used as written."""
    if not is_pinned(container):
        return None
    return next((p.digest for p in pins if p.container == container.name and p.image == container.image), None)


def settled(containers: tuple[TaskContainer, ...], pins: tuple[ImagePin, ...]) -> tuple[TaskContainer, ...]:
    """The containers of a task that is not placed yet, with what its deployment has settled meanwhile."""
    digests = {(pin.container, pin.image): pin.digest for pin in pins}
    return tuple(
        msgspec.structs.replace(container, pinned_digest=digests.get((container.name, container.image)))
        if container.keeps_version and container.pinned_digest is None
        else container
        for container in containers
    )


def pinned_reference(image: str, digest: str | None) -> str:
    """``repository@digest`` for ``repository[:tag]``; the image itself without a digest, or with its own."""
    if digest is None or "@" in image:
        return image
    # A colon before the last slash belongs to a registry's port.
    head, slash, name = image.rpartition("/")
    return f"{head}{slash}{name.partition(':')[0]}@{digest}"


def _pins(task: Task) -> tuple[ImagePin, ...]:
    return tuple(
        ImagePin(container=container.name, image=container.image, digest=container.image_digest)
        for container in task.containers
        if container.keeps_version and container.image_digest is not None
    )
