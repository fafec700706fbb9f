"""Handing events of a subscription filter to its destination: another log group or an HTTP endpoint.

An endpoint gets a POST of ``{"awslogs": {"data": …}}``, which is what a Lambda function gets on
AWS: base64 of gzip of the JSON message.  Any status from 200 to 299 means that it was taken.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Sequence

import msgspec

from openecs.http.address import Address
from openecs.http.client import HttpClient
from openecs.http.errors import HttpProtocolError, HttpUnavailable
from openecs.logs.event import message_bytes
from openecs.logs.records import LogStream
from openecs.logs.store import LogStore, StoreFailedError
from openecs.logs.subscription_target import HttpTarget, target_of
from openecs.model.log_filter import SubscriptionFilter

#: Bytes of messages in one POST, before compression.
MOST_BYTES = 512 * 1024
#: Seconds for one POST.
WITHIN = 30.0

Row = tuple[int, int, str]
"""Timestamp (epoch milliseconds), sequence and message of an event."""


class UndeliveredError(Exception):
    """The destination did not take the events; it may later."""


class Delivery:
    """Delivers; safe to be asked by many workers at once."""

    def __init__(self, store: LogStore, account: str, *, client: Callable[[Address], HttpClient] = HttpClient) -> None:
        self._store = store
        self._account = account
        self._client = client

    async def deliver(self, record: SubscriptionFilter, stream: LogStream, rows: Sequence[Row]) -> None:
        """Returns when the destination has taken all rows; raises ``UndeliveredError``."""
        target = target_of(record.destination)
        if isinstance(target, HttpTarget):
            for piece in _pieces(rows):
                await self._post(target, self._payload(record, stream, piece))
        elif target is not None:
            await self._append(target.region, target.group, stream.name, rows)

    async def _append(self, region: str, group_name: str, stream_name: str, rows: Sequence[Row]) -> None:
        group = self._store.groups(region).get(group_name)
        if group is None:
            raise UndeliveredError(f"the log group {group_name} does not exist")
        stream = group.streams.get(stream_name) or self._store.create_stream(group, stream_name)
        try:
            await self._store.append(stream, [row[0] for row in rows], [row[2] for row in rows])
        except (OSError, StoreFailedError) as error:
            raise UndeliveredError(f"the log store refused: {error}") from error

    async def _post(self, target: HttpTarget, body: bytes) -> None:
        client = self._client(target.address)
        try:
            reply = await client.request(
                "POST", target.path, headers=[("Content-Type", "application/json")], body=body, within=WITHIN
            )
        except (HttpUnavailable, HttpProtocolError, OSError) as error:
            raise UndeliveredError(str(error)) from error
        finally:
            await client.close()
        if not 200 <= reply.status < 300:
            raise UndeliveredError(f"{target.address} answered {reply.status}")

    def _payload(self, record: SubscriptionFilter, stream: LogStream, rows: Sequence[Row]) -> bytes:
        message = {
            "messageType": "DATA_MESSAGE",
            "owner": self._account,
            "logGroup": record.group,
            "logStream": stream.name,
            "subscriptionFilters": [record.name],
            "logEvents": [
                {"id": f"{timestamp:016d}{stream.id:018d}{sequence:022d}", "timestamp": timestamp, "message": text}
                for timestamp, sequence, text in rows
            ],
        }
        data = base64.b64encode(gzip.compress(msgspec.json.encode(message), compresslevel=1)).decode()
        return msgspec.json.encode({"awslogs": {"data": data}})


def _pieces(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """The rows in pieces of bounded size, at least one row each."""
    pieces, start, size = [], 0, 0
    for number, row in enumerate(rows):
        size += message_bytes(row[2])
        if size > MOST_BYTES and number > start:
            pieces.append(rows[start:number])
            start, size = number, message_bytes(row[2])
    return [*pieces, rows[start:]]
