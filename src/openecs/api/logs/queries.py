"""Logs Insights: start and stop queries, read their results, and look at single events and fields."""

from __future__ import annotations

from collections import Counter

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import invalid_parameter, not_supported
from openecs.api.logs.lookup import find_group, group_name, name_or_identifier
from openecs.errors import AWSError
from openecs.logs.event import END_OF_TIME, Range
from openecs.logs.insights.lexer import MalformedQueryError
from openecs.logs.insights.pointers import read
from openecs.logs.insights.query import MAX_LIMIT, parse
from openecs.logs.insights.row import Row
from openecs.logs.insights.runner import Asked, Runner, Wanted
from openecs.logs.insights.values import text
from openecs.logs.store import LogStore
from openecs.shapes import logs as shapes
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_GROUPS = 50
#: Events that GetLogGroupFields looks at.
SAMPLE = 1000
_MINUTES = 60_000


class LogQueries:
    """The operations on queries."""

    def __init__(self, store: LogStore, runner: Runner, pagination: Pagination) -> None:
        self._store = store
        self._runner = runner
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "StartQuery": self.start,
                "StopQuery": self.stop,
                "GetQueryResults": self.results,
                "DescribeQueries": self.describe,
                "GetLogRecord": self.record,
                "GetLogGroupFields": self.fields,
            },
        )

    def start(self, call: Call, request: shapes.StartQueryRequest) -> shapes.StartQueryResponse:
        """Read a query and have it run."""
        refuse_language(request.query_language)
        groups = self._groups(call, request)
        if request.end_time < request.start_time:
            raise invalid_parameter("End time should not be less than start time.")
        if request.limit is not None and request.limit > MAX_LIMIT:
            raise invalid_parameter(f"limit can be {MAX_LIMIT} at most.")
        try:
            query = parse(request.query_string)
        except MalformedQueryError as error:
            raise AWSError(
                "MalformedQueryException", f"{error.message} at character {error.start} of the query"
            ) from None
        wanted = Wanted(
            id=call.ids.uuid(),
            region=call.region,
            account=call.account,
            groups=groups,
            text=request.query_string,
            query=query,
            # Clients give seconds; milliseconds are taken too, as on AWS.
            first=_milliseconds(request.start_time),
            last=_milliseconds(request.end_time, end=True),
            limit=request.limit,
            caller=call.principal.arn,
        )
        if not self._runner.start(wanted):
            raise AWSError("LimitExceededException", "Too many queries wait already. Try again when some have ended.")
        return shapes.StartQueryResponse(query_id=wanted.id)

    def stop(self, call: Call, request: shapes.StopQueryRequest) -> shapes.StopQueryResponse:
        """End a query early."""
        asked = self._asked(call, request.query_id)
        if not self._runner.stop(asked):
            raise invalid_parameter("Query is not in a running state: it has ended already.")
        return shapes.StopQueryResponse(success=True)

    def results(self, call: Call, request: shapes.GetQueryResultsRequest) -> shapes.GetQueryResultsResponse:
        """How far a query is, and its results; those of one that runs may still change."""
        asked = self._asked(call, request.query_id)
        rows = asked.results
        if asked.status == "Running" and asked.run is not None:
            rows = asked.run.so_far()
        page, token = self._pagination.paginate(
            range(len(rows)),
            max_results=request.max_items or MAX_LIMIT,
            next_token=request.next_token,
            default=MAX_LIMIT,
            limit=MAX_LIMIT,
            scope=f"GetQueryResults:{asked.wanted.id}",
            member="maxItems",
        )
        return shapes.GetQueryResultsResponse(
            query_language="CWLI",
            results=tuple(
                tuple(shapes.ResultField(field=name, value=value) for name, value in rows[number]) for number in page
            ),
            statistics=shapes.QueryStatistics(
                records_matched=float(asked.matched),
                records_scanned=float(asked.scanned),
                bytes_scanned=float(asked.scanned_bytes),
                log_groups_scanned=float(len(asked.wanted.groups)),
                result_count=float(len(rows)),
            ),
            status=asked.status,
            next_token=token,
        )

    def describe(self, call: Call, request: shapes.DescribeQueriesRequest) -> shapes.DescribeQueriesResponse:
        """The queries that are remembered, newest first."""
        refuse_language(request.query_language)
        found = [
            asked
            for asked in reversed(self._runner.all())
            if asked.wanted.region == call.region
            and request.status in (None, asked.status)
            and request.log_group_name in (None, *asked.wanted.groups)
        ]
        page, token = self._pagination.paginate(
            sorted(found, key=_age, reverse=True),
            max_results=request.max_results,
            next_token=request.next_token,
            default=50,
            limit=1000,
            scope=f"DescribeQueries:{call.region}:{request.log_group_name}:{request.status}",
            key=_age,
            descending=True,
        )
        return shapes.DescribeQueriesResponse(queries=tuple(map(_info, page)), next_token=token)

    async def record(self, call: Call, request: shapes.GetLogRecordRequest) -> shapes.GetLogRecordResponse:
        """All fields of the event that a result's ``@ptr`` names."""
        if request.unmask:
            raise not_supported("unmask")
        found = read(request.log_record_pointer)
        if found is None:
            raise invalid_parameter("Invalid logRecordPointer.")
        name, key = found
        group = find_group(self._store, call, name)
        stream = next((stream for stream in group.streams.values() if stream.id == key[1]), None)
        events = []
        if stream is not None:
            events = (await self._store.read([stream], Range(key[0], key[0]), 10_000)).events
        event = next((event for event in events if event.key == key), None)
        if event is None or stream is None:
            raise AWSError("ResourceNotFoundException", "The log event does not exist any more.")
        row = Row({"@message": event.message})
        return shapes.GetLogRecordResponse(
            log_record={
                **{name: text(value) for name, value in row.found()},
                "@message": event.message,
                "@timestamp": str(event.timestamp),
                "@ingestionTime": str(event.ingestion_time),
                "@logStream": stream.name,
                "@log": f"{call.account}:{name}",
            }
        )

    async def fields(self, call: Call, request: shapes.GetLogGroupFieldsRequest) -> shapes.GetLogGroupFieldsResponse:
        """Fields of the newest events around a time (or of the last 15 minutes), and how many have them."""
        name = name_or_identifier(call, request.log_group_name, request.log_group_identifier)
        group = find_group(self._store, call, name)
        now = round(call.now * 1000)
        first, last = now - 15 * _MINUTES, END_OF_TIME
        if request.time is not None:
            middle = _milliseconds(request.time)
            first, last = middle - 8 * _MINUTES, middle + 8 * _MINUTES
        page = await self._store.read(group.streams.values(), Range(max(first, 0), last), SAMPLE, descending=True)
        counts: Counter[str] = Counter()
        for event in page.events:
            counts.update(name for name, _ in Row({"@message": event.message}).found())
            counts.update(("@timestamp", "@message", "@logStream", "@ingestionTime", "@log"))
        total = len(page.events)
        return shapes.GetLogGroupFieldsResponse(
            log_group_fields=tuple(
                shapes.LogGroupField(name=name, percent=round(100 * count / total))
                for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            )
        )

    def _groups(self, call: Call, request: shapes.StartQueryRequest) -> tuple[str, ...]:
        given = [request.log_group_name, request.log_group_names, request.log_group_identifiers]
        if sum(value is not None for value in given) != 1:
            raise invalid_parameter(
                "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be specified."
            )
        if request.log_group_identifiers is not None:
            names = tuple(group_name(call, one.removesuffix(":*")) for one in request.log_group_identifiers)
        else:
            names = request.log_group_names or (request.log_group_name or "",)
        if not 1 <= len(names) <= MAX_GROUPS:
            raise invalid_parameter(f"A query can have from 1 to {MAX_GROUPS} log groups.")
        for name in names:
            find_group(self._store, call, name)
        return tuple(dict.fromkeys(names))

    def _asked(self, call: Call, query_id: str) -> Asked:
        asked = self._runner.get(query_id)
        if asked is None or asked.wanted.region != call.region:
            raise AWSError("ResourceNotFoundException", f"Query with id: {query_id} not found.")
        return asked


def refuse_language(language: str | None) -> None:
    """Queries are in the language of Logs Insights."""
    if language not in (None, "CWLI"):
        raise not_supported(f"queryLanguage {language}")


def _milliseconds(time: int, *, end: bool = False) -> int:
    if time >= 10**11:
        return min(time, END_OF_TIME)
    return time * 1000 + (999 if end else 0)


def _age(asked: Asked) -> tuple[float, str]:
    return asked.created_at, asked.wanted.id


def _info(asked: Asked) -> shapes.QueryInfo:
    return shapes.QueryInfo(
        query_language="CWLI",
        query_id=asked.wanted.id,
        query_string=asked.wanted.text,
        status=asked.status,
        create_time=round(asked.created_at * 1000),
        log_group_name=asked.wanted.groups[0],
        query_duration=None if asked.ended_at is None else round((asked.ended_at - asked.created_at) * 1000),
        bytes_scanned=float(asked.scanned_bytes),
        user_identity=asked.wanted.caller,
    )
