"""A query of Logs Insights: its commands, and a run of it over events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from openecs.logs.insights import commands
from openecs.logs.insights.aggregates import NAMES, Aggregate, Expression, maker
from openecs.logs.insights.commands import Command, Sink
from openecs.logs.insights.expressions import Column, Tokens, call_arguments, column, condition, field_name
from openecs.logs.insights.lexer import MalformedQueryError, tokens
from openecs.logs.insights.row import Row
from openecs.logs.insights.values import number, text
from openecs.logs.regexes import compiled, glob

#: Results without a ``limit``, and the most that one may ask for.
DEFAULT_LIMIT = MAX_LIMIT = 10_000
#: Commands of AWS's language that are not there.
_NOT_SERVED = (
    "pattern",
    "diff",
    "anomaly",
    "unmask",
    "lookup",
    "source",
    "join",
    "subquery",
    "filterindex",
    "addtotals",
)

Maker = Callable[[int], Command]
"""Makes a command for a run whose result has so many rows at most."""


class Query(NamedTuple):
    """A query that was read; ``columns`` are the names of what it shows."""

    makers: tuple[Maker, ...]
    columns: tuple[str, ...]
    limit: int
    #: Whether rows are events still: then each has its pointer.
    shows_events: bool
    #: Whether the order of results is that of events, newest first, so that reading may stop early.
    streams: bool

    def run(self, limit: int | None = None) -> Run:
        """A new run; ``limit`` is the caller's, which an explicit one of the query overrules."""
        return Run(self, min(self.limit, limit or self.limit))


class Run:
    """Feeds events through a query and collects the results."""

    def __init__(self, query: Query, limit: int) -> None:
        self._query = query
        self._limit = limit
        self._rows: list[Row] = []
        self.matched = 0
        self._steps: list[Command] = [make(limit) for make in query.makers]
        # Events have matched when they come to the first stats, or to the end.
        steps = self._steps
        last = next((n for n, step in enumerate(steps) if isinstance(step, commands.Stats)), len(steps))
        sink: Sink = self._collect
        #: What each step passes rows on to, from the last one to what takes events.
        self._sinks: list[Sink] = []
        for place in range(len(steps), -1, -1):
            if place < len(steps):
                sink = _sink(steps[place], sink)
            if place == last:
                sink = self._counted(sink)
            self._sinks.append(sink)
        self._sinks.reverse()

    def take(self, row: Row) -> bool:
        """Give the run an event; false when it wants no more."""
        return self._sinks[0](row)

    def results(self) -> list[list[tuple[str, str]]]:
        """Names and texts of every result row, after the last event."""
        for step, sink in zip(self._steps, self._sinks[1:], strict=True):
            step.end(sink)
        return [self._shown(row) for row in self._rows]

    def so_far(self) -> list[list[tuple[str, str]]]:
        """What is known before the end, of queries that do not need all events for it."""
        return [self._shown(row) for row in list(self._rows)]

    def _counted(self, sink: Sink) -> Sink:
        def counted(row: Row) -> bool:
            self.matched += 1
            return sink(row)

        return counted

    def _collect(self, row: Row) -> bool:
        if len(self._rows) < self._limit:
            self._rows.append(row)
        return not self._query.streams or len(self._rows) < self._limit

    def _shown(self, row: Row) -> list[tuple[str, str]]:
        names = (*self._query.columns, "@ptr") if self._query.shows_events else self._query.columns
        return [(name, text(value)) for name in names if (value := row.get(name)) is not None]


def _sink(step: Command, after: Sink) -> Sink:
    return lambda row: step.take(row, after)


def parse(written: str) -> Query:
    """Read a query.  Raises ``MalformedQueryError``."""
    reader = Tokens(written, tokens(written))
    builder = _Builder()
    while reader.next.kind != "end":
        if reader.sign("|"):
            continue
        builder.command(reader)
        if (reader.next.kind, reader.next.value) not in (("end", ""), ("sign", "|")):
            raise reader.unexpected()
    return builder.query()


class _Builder:
    """What has been read of a query."""

    def __init__(self) -> None:
        self._makers: list[Maker] = []
        self._fields: list[str] = []
        self._display: list[str] | None = None
        self._limit = DEFAULT_LIMIT
        self._stats = False
        self._sorted = False

    def command(self, reader: Tokens) -> None:
        """Read one command."""
        word = reader.next
        name = word.value.lower() if word.kind == "name" else ""
        reading = {
            "fields": self._read_fields,
            "display": self._read_display,
            "filter": self._read_filter,
            "parse": self._read_parse,
            "stats": self._read_stats,
            "sort": self._read_sort,
            "limit": self._read_limit,
            "head": self._read_limit,
            "dedup": self._read_dedup,
        }.get(name)
        if reading is None:
            known = "is not supported by OpenECS" if name in _NOT_SERVED else "is unknown"
            raise MalformedQueryError(f"the command {word.value or 'at this place'} {known}", word.start, word.end)
        reader.take()
        reading(reader)

    def query(self) -> Query:
        """The whole query."""
        columns = self._display if self._display is not None else self._fields
        if not columns:
            columns = ["@timestamp", "@message"]
        return Query(
            makers=tuple(self._makers),
            columns=tuple(dict.fromkeys(columns)),
            limit=self._limit,
            shows_events=not self._stats,
            streams=not self._stats and not self._sorted,
        )

    def _read_fields(self, reader: Tokens) -> None:
        columns = _columns(reader)
        self._fields += [one.name for one in columns]
        self._makers.append(lambda _: commands.Compute(columns))

    def _read_display(self, reader: Tokens) -> None:
        columns = _columns(reader)
        self._display = [one.name for one in columns]
        self._makers.append(lambda _: commands.Compute(columns))

    def _read_filter(self, reader: Tokens) -> None:
        wanted = condition(reader)
        self._makers.append(lambda _: commands.Filter(wanted))

    def _read_parse(self, reader: Tokens) -> None:
        of: Expression = lambda row: row.get("@message")  # noqa: E731
        if reader.next.kind in ("name", "quoted"):
            name = field_name(reader)
            of = lambda row: row.get(name)  # noqa: E731
        token = reader.take()
        if token.kind == "text":
            pattern = glob(token.value)
            if not reader.word("as"):
                raise reader.unexpected("expected as and a name for each *")
            names = [field_name(reader)]
            while reader.sign(","):
                names.append(field_name(reader))
            if len(names) != token.value.count("*"):
                raise MalformedQueryError("parse needs as many names as its pattern has *", token.start, token.end)
        elif token.kind == "regex":
            try:
                pattern = compiled(token.value)
            except ValueError as error:
                raise MalformedQueryError(str(error), token.start, token.end) from None
            names = [name for name, _ in sorted(pattern.groupindex.items(), key=lambda item: item[1])]
            if not names or len(names) != pattern.groups:
                raise MalformedQueryError("every group of parse needs a name: (?<name>...)", token.start, token.end)
        else:
            raise MalformedQueryError("parse needs a pattern in quotes or a regular expression", token.start, token.end)
        self._makers.append(lambda _: commands.Parse(of, pattern, names))
        self._fields += [name for name in names if self._fields and name not in self._fields]

    def _read_stats(self, reader: Tokens) -> None:
        results: list[tuple[str, Callable[[], Aggregate]]] = []
        while True:
            results.append(_aggregate(reader))
            if not reader.sign(","):
                break
        by = _columns(reader) if reader.word("by") else []
        self._makers.append(lambda _: commands.Stats(results, by))
        self._fields = [*(one.name for one in by), *(name for name, _ in results)]
        self._display = None
        self._stats = True

    def _read_sort(self, reader: Tokens) -> None:
        keys: list[tuple[Expression, bool]] = []
        while True:
            of = _result_or(reader)
            keys.append((of, reader.word("asc", "desc") != "asc"))
            if not reader.sign(","):
                break
        self._makers.append(lambda most: commands.Sort(keys, most))
        self._sorted = True

    def _read_limit(self, reader: Tokens) -> None:
        token = reader.take()
        count = number(token.value) if token.kind == "number" else None
        if not isinstance(count, int) or not 1 <= count <= MAX_LIMIT:
            raise MalformedQueryError(f"limit takes a whole number from 1 to {MAX_LIMIT}", token.start, token.end)
        self._limit = min(self._limit, count)
        self._makers.append(lambda _: commands.Limit(count))

    def _read_dedup(self, reader: Tokens) -> None:
        names = [field_name(reader)]
        while reader.sign(","):
            names.append(field_name(reader))
        self._makers.append(lambda _: commands.Dedup(names))


def _columns(reader: Tokens) -> list[Column]:
    columns = [column(reader)]
    while reader.sign(","):
        columns.append(column(reader))
    return columns


def _aggregate(reader: Tokens) -> tuple[str, Callable[[], Aggregate]]:
    """``FUNCTION(EXPRESSION)`` with or without a name."""
    token = reader.next
    name = token.value.lower()
    if token.kind != "name" or name not in NAMES:
        raise reader.unexpected("expected a function of stats")
    reader.take()
    reader.expect("(")
    arguments: Sequence[Expression] = ()
    percent: float | None = None
    if name == "count" and reader.sign("*"):
        reader.expect(")")
    else:
        arguments = call_arguments(reader)
        if name in ("pct", "percentile") and len(arguments) == 2:
            given = number(arguments[1](Row({})))
            percent, arguments = (None if given is None else float(given)), arguments[:1]
    make = maker(name, list(arguments), percent)
    if make is None:
        raise MalformedQueryError(f"wrong arguments for {token.value}", token.start, token.end)
    written = reader.written(token.start)
    return (field_name(reader) if reader.word("as") else written), make


def _result_or(reader: Tokens) -> Expression:
    """What sort goes by: a column under the name that stats gave it (``count(*)``), else an expression."""
    start = reader.next
    if start.kind == "name" and start.value.lower() in NAMES and reader.after().value == "(":
        name = _skip_call(reader)
        return lambda row: row.get(name)
    return condition(reader)


def _skip_call(reader: Tokens) -> str:
    start = reader.take().start
    depth = 0
    while True:
        if reader.sign("("):
            depth += 1
        elif reader.sign(")"):
            depth -= 1
            if not depth:
                return reader.written(start)
        elif reader.next.kind == "end":
            raise reader.unexpected("expected )")
        else:
            reader.take()
