"""The tags that ``taskWithTags`` adds to a task's metadata, asked of the control plane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from openecs.errors import AWSError, Retryable

#: Seconds for both questions; clients of the endpoint give up after about five.
PATIENCE = 4.0


class Tags(NamedTuple):
    """Key → value, and what could not be had (entries of the metadata's ``Errors``)."""

    task: Mapping[str, str] = {}
    container_instance: Mapping[str, str] = {}
    errors: tuple[Mapping[str, Any], ...] = ()


async def fetch(list_tags: Callable[[str], Awaitable[Mapping[str, str]]], task: str, instance: str | None) -> Tags:
    """The tags of a task and of its container instance (``None``: it has none, as on Fargate).

    Failures become entries of ``errors``; the metadata is answered all the same.
    """
    errors: list[Mapping[str, Any]] = []

    async def ask(field: str, arn: str) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await list_tags(arn)
        except AWSError as error:
            errors.append(
                {
                    "ErrorField": field,
                    "ErrorCode": error.code,
                    "ErrorMessage": error.message,
                    "StatusCode": error.status,
                    "ResourceARN": arn,
                }
            )
        except Retryable as error:
            errors.append({"ErrorField": field, "ErrorMessage": str(error), "ResourceARN": arn})
        except TimeoutError:
            text = "the control plane did not answer in time"
            errors.append({"ErrorField": field, "ErrorMessage": text, "ResourceARN": arn})
        return {}

    async with asyncio.TaskGroup() as group:
        of_instance = group.create_task(ask("ContainerInstanceTags", instance)) if instance else None
        of_task = group.create_task(ask("TaskTags", task))
    return Tags(of_task.result(), {} if of_instance is None else of_instance.result(), tuple(errors))
