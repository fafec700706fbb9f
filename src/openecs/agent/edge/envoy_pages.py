"""What the load balancer itself answers: AWS's pages and codes instead of Envoy's.  Pure."""

from __future__ import annotations

from http import HTTPStatus

from openecs.agent.edge.envoy_resources import Resource

#: The ``Server`` header of answers that no target gave.
SERVER = "awselb/2.0"

_TEXTS = {503: "Service Temporarily Unavailable", 504: "Gateway Time-out", 408: "Request Time-out"}

#: Envoy's reasons → AWS's code.  The first that fits decides.
_FLAGS: tuple[tuple[tuple[str, ...], int], ...] = (
    # Not reached in time; UF alone may also be a refused connection, which the body of the reason tells.
    (("UT",), 504),
    # The target ended the connection, or said what is no HTTP.
    (("UC", "UPE", "UR", "LR"), 502),
    # No target may be used, or the target group is not here.
    (("UH", "NC", "UO", "NR"), 503),
)


def page(status: int) -> str:
    """The page for a status, in AWS's form."""
    title = f"{status} {_TEXTS.get(status) or _phrase(status)}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )


def local_replies(*, server: bool) -> Resource:
    """The part of a connection manager that words answers of the load balancer itself."""
    mappers = [
        _mapper(
            {
                "and_filter": {
                    "filters": [
                        {"response_flag_filter": {"flags": ["UF"]}},
                        _connect_timeout(),
                    ]
                }
            },
            504,
            server=server,
        ),
        _mapper({"response_flag_filter": {"flags": ["UF"]}}, 502, server=server),
        *(_mapper({"response_flag_filter": {"flags": list(flags)}}, code, server=server) for flags, code in _FLAGS),
        *(
            _mapper(_and_flags(["SI", "DPE", "OM", "DI"], code), code, server=server)
            for code in (400, 408, 431, 503, 504)
        ),
    ]
    return {"mappers": mappers}


def _mapper(condition: Resource, status: int, *, server: bool) -> Resource:
    return {
        "filter": condition,
        "status_code": status,
        "body_format_override": {
            "text_format_source": {"inline_string": page(status).replace("%", "%%")},
            "content_type": "text/html",
        },
        "headers_to_add": [_header("server", SERVER)] if server else [],
    }


def _and_flags(flags: list[str], status: int) -> Resource:
    code = {"comparison": {"op": "EQ", "value": {"default_value": status, "runtime_key": "openecs.none"}}}
    return {
        "and_filter": {"filters": [{"response_flag_filter": {"flags": flags}}, {"status_code_filter": code}]},
    }


def _connect_timeout() -> Resource:
    """Envoy gives no connection to the target the same flag whether it was refused or slow."""
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": "response.code_details.contains('connection_timeout')",
            },
        }
    }


def _header(name: str, value: str) -> Resource:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
