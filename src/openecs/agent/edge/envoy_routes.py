"""A listener's rules as Envoy's route table.  Pure.

The rules stand in the table in their order; of several routes of one rule the first that fits
is taken.  A rule that Envoy cannot do leaves a problem, and requests that would match it get 503:
they must not fall to the rules behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openecs.acs.host_documents import BalancerDocument, BalancerListener, BalancerRule, TargetGroupDocument
from openecs.agent.edge.envoy_access_format import ROUTE_SEPARATOR
from openecs.agent.edge.envoy_actions import REWRITE_FILTER, REWRITE_KIND, ActionContext, action_routes, routing_action
from openecs.agent.edge.envoy_filters import group_filters
from openecs.agent.edge.envoy_match import match_conditions
from openecs.agent.edge.envoy_pages import page
from openecs.agent.edge.envoy_resources import PREVIOUS_HOSTS, Resource

#: Requests that never reached their target, of whatever method, are sent to another one this often.
_RETRIES = 2
_NEVER_BEGUN = "connect-failure,refused-stream,reset-before-request"
#: So are requests of safe methods whose target is lost before it answers: they change nothing (RFC 9110, 9.2.1),
#: and a proxy may send them a second time.
_LOST = f"{_NEVER_BEGUN},reset"
_SAFE_METHOD = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD|OPTIONS"}}}
_HEADER_VALUES = "routing.http.response."
_DEFAULT_PORTS = {"HTTP": 80, "HTTPS": 443}


def render_routes(
    name: str,
    balancer: BalancerDocument,
    listener: BalancerListener,
    groups: Mapping[str, TargetGroupDocument],
    *,
    cluster: Callable[[str], str],
    outer_port: Callable[[int], int],
) -> tuple[Resource, tuple[str, ...]]:
    """The route table of a listener, and sentences for what it cannot do.

    ``outer_port`` gives the port at which clients of this table reach a listener by its own.
    """
    context = ActionContext(
        protocol=listener.protocol,
        port=listener.port,
        outer_port=outer_port,
        cluster=cluster,
        filters=lambda arn: group_filters(groups[arn]) if arn in groups else {},
        server=listener.attributes.get("routing.http.response.server.enabled", "true") == "true",
        with_port=keeps_host(balancer),
    )
    problems: list[str] = []
    routes: list[Resource] = []
    for rule in listener.rules:
        try:
            routes += _rule_routes(rule, context)
        except ValueError as error:
            problems.append(f"Rule {rule.arn}: {error}")
            routes.append(_impossible(rule))
    added, removed = _request_headers(balancer, listener)
    answered, dropped = _response_headers(listener)
    rewritten = None if keeps_host(balancer) else _host_header(listener, outer_port(listener.port))
    for route in routes:
        if "route" in route:
            route["route"]["timeout"] = "0s"
            if rewritten is not None and "host_rewrite" not in route["route"]:
                route["route"]["host_rewrite"] = rewritten
    if balancer.retries_safe:
        routes = [each for route in routes for each in (*_safe_route(route), route)]
    host: Resource = {"name": "all", "domains": ["*"], "routes": routes, "retry_policy": _retry_policy(_NEVER_BEGUN)}
    table: Resource = {
        "name": name,
        "virtual_hosts": [host],
        "validate_clusters": False,
        "request_headers_to_add": added,
        "request_headers_to_remove": removed,
        "response_headers_to_add": answered,
        "response_headers_to_remove": dropped,
        # A fixed response has up to 1,024 characters, of several bytes each.
        "max_direct_response_body_size_bytes": 8192,
    }
    return table, tuple(problems)


def _retry_policy(conditions: str) -> Resource:
    return {
        "retry_on": conditions,
        "num_retries": _RETRIES,
        "retry_host_predicate": [PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.05s"},
    }


def _safe_route(route: Resource) -> list[Resource]:
    """The route for requests of safe methods, which goes before the one for all others."""
    if "route" not in route:
        return []
    match = _both(route["match"], {"headers": [_SAFE_METHOD]})
    return [{**route, "match": match, "route": {**route["route"], "retry_policy": _retry_policy(_LOST)}}]


def _rule_routes(rule: BalancerRule, context: ActionContext) -> list[Resource]:
    match = match_conditions(rule.conditions)
    chosen = routing_action(rule.actions)
    name = f"{rule.priority}{ROUTE_SEPARATOR}{chosen.type}"
    routes = []
    for extra, action in action_routes(chosen, context):
        route: Resource = {"name": name, "match": _both(match, extra), **action}
        if rule.transforms and "route" in route:
            _transform(rule, route)
        routes.append(route)
    return routes


def _both(match: Resource, extra: Resource) -> Resource:
    headers = [*match.get("headers", ()), *extra.get("headers", ())]
    return {**match, "headers": headers} if headers else dict(match)


def _impossible(rule: BalancerRule) -> Resource:
    try:
        match = match_conditions(rule.conditions)
    except ValueError:
        match = {"prefix": "/"}
    return {
        "name": "-1",
        "match": match,
        "direct_response": {"status": 503, "body": {"inline_string": page(503)}},
    }


def _transform(rule: BalancerRule, route: Resource) -> None:
    """Rewrite the host or the URL: the new value passes through the request's metadata."""
    rewrites: list[Resource] = []
    for transform in rule.transforms:
        host = transform.type == "host-header-rewrite"
        config = transform.host_header_rewrite_config if host else transform.url_rewrite_config
        for rewrite in (config.rewrites if config else None) or ():
            key = "host" if host else "path"
            rewrites.append(
                {
                    "header": ":authority" if host else ":path",
                    "on_header_present": {
                        "metadata_namespace": "openecs",
                        "key": key,
                        "regex_value_rewrite": {
                            "pattern": {"regex": rewrite.regex},
                            "substitution": _substitution(rewrite.replace),
                        },
                    },
                }
            )
            if host:
                route["route"]["host_rewrite"] = "%DYNAMIC_METADATA(openecs:host)%"
    if rewrites:
        filters = route.setdefault("typed_per_filter_config", {})
        filters[REWRITE_FILTER] = {"@type": REWRITE_KIND, "request_rules": rewrites}


def _substitution(text: str) -> str:
    """``$1`` is a group; a backslash is a character like any other."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        following = text[at + 1 : at + 2]
        if character == "$" and following.isdigit() and following.isascii():
            parts.append(f"\\{following}")
            at += 2
            continue
        parts.append("\\\\" if character == "\\" else character)
        at += 1
    return "".join(parts)


def keeps_host(balancer: BalancerDocument) -> bool:
    """Whether targets get the Host header as the client gave it."""
    return balancer.attributes.get("routing.http.preserve_host_header.enabled") == "true"


def _host_header(listener: BalancerListener, port: int) -> str | None:
    """The Host header for targets: with the port at which the client came, unless it is the usual one.

    The listener has taken away the port that the client gave.
    """
    return None if port == _DEFAULT_PORTS.get(listener.protocol) else f"%REQ(:AUTHORITY)%:{port}"


def _request_headers(balancer: BalancerDocument, listener: BalancerListener) -> tuple[list[Resource], list[str]]:
    attributes = balancer.attributes
    added = [_set("x-forwarded-port", str(listener.port))]
    removed = ["x-envoy-external-address", "x-envoy-internal"]
    mode = attributes.get("routing.http.xff_header_processing.mode", "append")
    if mode == "remove":
        removed.append("x-forwarded-for")
    elif mode == "append":
        # Not Envoy's own way: it puts the host's address where a client of the same host has 127.0.0.1.
        port = attributes.get("routing.http.xff_client_port.enabled") == "true"
        client = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%" if port else "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
        added.append(
            {
                "header": {"key": "x-forwarded-for", "value": client},
                "append_action": "APPEND_IF_EXISTS_OR_ADD",
            }
        )
    own = listener.attributes
    version = own.get("routing.http.request.x_amzn_tls_version.header_name") or "x-amzn-tls-version"
    suite = own.get("routing.http.request.x_amzn_tls_cipher_suite.header_name") or "x-amzn-tls-cipher-suite"
    if listener.protocol == "HTTPS" and (
        attributes.get("routing.http.x_amzn_tls_version_and_cipher_suite.enabled") == "true"
    ):
        added += [_set(version, "%DOWNSTREAM_TLS_VERSION%"), _set(suite, "%DOWNSTREAM_TLS_CIPHER%")]
    return added, removed


def _response_headers(listener: BalancerListener) -> tuple[list[Resource], list[str]]:
    added = []
    for key, value in sorted(listener.attributes.items()):
        if key.startswith(_HEADER_VALUES) and key.endswith(".header_value") and value:
            name = key.removeprefix(_HEADER_VALUES).removesuffix(".header_value").replace("_", "-")
            added.append(_set(name, value.replace("%", "%%")))
    removed = ["server"] if listener.attributes.get("routing.http.response.server.enabled") == "false" else []
    return added, removed


def _set(name: str, value: str) -> Resource:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
