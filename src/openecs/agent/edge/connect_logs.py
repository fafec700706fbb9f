"""What the proxy of a task with Service Connect writes down, in Envoy's words.  Pure.

Without access logs that is one line of JSON for each request or connection which could not be
delivered as it should; with them, one line for each that passes, with Envoy's own default fields.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from openecs.agent.edge.envoy_resources import Resource, file_logger

_START, _FLAGS = "%START_TIME%", "%RESPONSE_FLAGS%"
_HTTP = {
    "start_time": _START,
    "method": "%REQ(:METHOD)%",
    "path": "",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": _FLAGS,
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
}
_TCP = {
    "start_time": _START,
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "upstream_host": "%UPSTREAM_HOST%",
    "response_flags": _FLAGS,
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
}


class ProxyLog(NamedTuple):
    """Where and how the proxy of a task writes."""

    #: A file; empty for no log.
    path: str
    #: ``TEXT`` or ``JSON`` for access logs; empty for failures only.
    form: str = ""
    #: Paths keep their query strings.
    queries: bool = False


def access_logs(log: ProxyLog, endpoint: str, *, http: bool) -> list[Resource]:
    """The loggers of a listener; ``endpoint`` names it in lines about failures, empty: they are not told."""
    if not log.path:
        return []
    if log.form:
        return [file_logger(log.path, _access(log, http=http))]
    if not endpoint:
        return []
    form = {
        "time": _START,
        "endpoint": endpoint.replace("%", "%%"),
        "upstream": "%UPSTREAM_HOST%",
        "flags": _FLAGS,
        "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
    }
    if http:
        form |= {"method": "%REQ(:METHOD)%", "status": "%RESPONSE_CODE%"}
    logger = file_logger(log.path, {"json_format": form, "omit_empty_values": True})
    return [{**logger, "filter": {"response_flag_filter": {}}}]


def _access(log: ProxyLog, *, http: bool) -> dict[str, Any]:
    fields = {**_HTTP, "path": "%PATH(WQ)%" if log.queries else "%PATH(NQ)%"} if http else _TCP
    if log.form == "JSON":
        return {"json_format": fields}
    if not http:
        return _text("[{start_time}] " + " ".join(f"{{{name}}}" for name in list(_TCP)[1:]), fields)
    plain = ("response_code", "response_flags", "bytes_received", "bytes_sent", "duration", "upstream_service_time")
    quoted = ("forwarded_for", "user_agent", "request_id", "authority", "upstream_host")
    words = ["[{start_time}]", '"{method} {path} {protocol}"', *(f"{{{name}}}" for name in plain)]
    return _text(" ".join([*words, *(f'"{{{name}}}"' for name in quoted)]), fields)


def _text(form: str, fields: dict[str, str]) -> dict[str, Any]:
    return {"text_format_source": {"inline_string": form.format_map(fields) + "\n"}}
