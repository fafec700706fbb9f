"""A rule's action as what Envoy does: forward, redirect, or answer by itself.  Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from openecs.acs.host_documents import BalancerRule
from openecs.agent.edge.envoy_pages import SERVER, page
from openecs.agent.edge.envoy_resources import Resource
from openecs.shapes import elbv2

#: The cookies by which a client stays with a target group; the second is for requests across sites.
GROUP_COOKIES = ("AWSALBTG", "AWSALBTGCORS")


@dataclass(frozen=True)
class ActionContext:
    """What an action's rendering has to know of its listener."""

    protocol: str
    port: int
    #: Port of a listener → the one at which this client reaches it.
    outer_port: Callable[[int], int]
    #: ARN of a target group → its cluster.
    cluster: Callable[[str], str]
    #: ARN of a target group → settings of filters for requests to it.
    filters: Callable[[str], dict[str, Resource]]
    server: bool = True
    #: Whether the Host header comes with the port that the client gave.
    with_port: bool = False


def routing_action(actions: Iterable[elbv2.Action]) -> elbv2.Action:
    """The last action of a rule, which answers or forwards.

    Raises ``ValueError`` with a sentence when another one comes before it.
    """
    ordered = sorted(actions, key=lambda action: action.order or 0)
    for action in ordered:
        if action.type not in {"forward", "redirect", "fixed-response"}:
            raise ValueError(f"Actions of type {action.type} are not done.")
    if not ordered:
        raise ValueError("A rule has no action.")
    return ordered[-1]


def action_routes(action: elbv2.Action, context: ActionContext) -> list[tuple[Resource, Resource]]:
    """Routes in the order in which they are tried: what they match besides the rule's conditions, and what they do.

    Raises ``ValueError`` with a sentence for what Envoy cannot do.
    """
    if action.type == "fixed-response":
        return [({}, _fixed_response(action, context))]
    if action.type == "redirect":
        return _redirect(action, context)
    return _forward(action, context)


def forwarded_groups(action: elbv2.Action) -> tuple[tuple[str, int], ...]:
    """The target groups of a forwarding action with their weights."""
    config = action.forward_config
    if config is None or not config.target_groups:
        return ((action.target_group_arn, 1),) if action.target_group_arn else ()
    return tuple(
        (group.target_group_arn or "", 1 if group.weight is None else group.weight) for group in config.target_groups
    )


def weighted_groups(rules: Iterable[BalancerRule]) -> list[tuple[str, int]]:
    """Where a listener of a network load balancer forwards to: its only rule has no conditions.

    Raises ``ValueError`` as ``routing_action`` does.
    """
    return [pair for rule in rules if not rule.conditions for pair in forwarded_groups(routing_action(rule.actions))]


def _forward(action: elbv2.Action, context: ActionContext) -> list[tuple[Resource, Resource]]:
    groups = [(arn, weight) for arn, weight in forwarded_groups(action) if weight > 0]
    if not groups:
        # AWS answers so when every weight is zero.
        return [({}, _answer(503, page(503), "text/html", context))]
    stickiness = action.forward_config.target_group_stickiness_config if action.forward_config else None
    seconds = (stickiness.duration_seconds or 3600) if stickiness and stickiness.enabled else 0
    if len(groups) == 1 and not seconds:
        return [({}, _to_cluster(groups[0][0], context))]
    routes: list[tuple[Resource, Resource]] = []
    if seconds:
        # One group keeps its clients too: with its own cookie they stay when a second one joins.
        for arn, _ in groups:
            match = {"headers": [_has_cookie(_group_mark(arn))]}
            routes.append((match, {**_to_cluster(arn, context), "response_headers_to_add": _set_cookies(arn, seconds)}))
    clusters = [
        {
            "name": context.cluster(arn),
            "weight": weight,
            **({"typed_per_filter_config": context.filters(arn)} if context.filters(arn) else {}),
            **({"response_headers_to_add": _set_cookies(arn, seconds)} if seconds else {}),
        }
        for arn, weight in groups
    ]
    routes.append(({}, {"route": {"weighted_clusters": {"clusters": clusters}}}))
    return routes


def _to_cluster(arn: str, context: ActionContext) -> Resource:
    filters = context.filters(arn)
    return {
        "route": {"cluster": context.cluster(arn)},
        **({"typed_per_filter_config": filters} if filters else {}),
    }


def _group_mark(arn: str) -> str:
    """What the cookie holds: it tells nothing of the target group."""
    return hashlib.sha256(arn.encode()).hexdigest()[:32]


def _has_cookie(mark: str) -> Resource:
    names = "|".join(GROUP_COOKIES)
    return {
        "name": "cookie",
        "string_match": {"safe_regex": {"regex": f"(?s)(?:.*;\\s*)?(?:{names})={mark}(?:\\s*;.*)?"}},
    }


def _set_cookies(arn: str, seconds: int) -> list[Resource]:
    mark = _group_mark(arn)
    return [
        _header("set-cookie", f"{GROUP_COOKIES[0]}={mark}; Max-Age={seconds}; Path=/", add=True),
        _header("set-cookie", f"{GROUP_COOKIES[1]}={mark}; Max-Age={seconds}; Path=/; SameSite=None; Secure", add=True),
    ]


def _fixed_response(action: elbv2.Action, context: ActionContext) -> Resource:
    config = action.fixed_response_config
    if config is None:
        raise ValueError("A fixed-response action has no configuration.")
    return _answer(
        int(config.status_code), config.message_body or "", config.content_type or "text/plain; charset=utf-8", context
    )


def _answer(status: int, body: str, content_type: str, context: ActionContext, *more: Resource) -> Resource:
    answer: dict[str, Any] = {"status": status}
    headers = [*more]
    if body:
        answer["body"] = {"inline_string": body}
        headers.append(_header("content-type", content_type))
    if context.server:
        headers.append(_header("server", SERVER))
    return {"direct_response": answer, "response_headers_to_add": headers}


#: Name of the filter that takes hosts and URLs apart; a route brings the expressions.
REWRITE_FILTER = "openecs.rewrite"
REWRITE_KIND = "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"
_HOST_WITHOUT_PORT: Resource = {
    "@type": REWRITE_KIND,
    "request_rules": [
        {
            "header": ":authority",
            "on_header_present": {
                "metadata_namespace": "openecs",
                "key": "plain_host",
                "regex_value_rewrite": {"pattern": {"regex": "^(.*?)(?::[0-9]+)?$"}, "substitution": "\\1"},
            },
        }
    ],
}
_PLACEHOLDER = re.compile(r"/?#\{path\}|#\{(?:protocol|host|port|query)\}")


def _redirect(action: elbv2.Action, context: ActionContext) -> list[tuple[Resource, Resource]]:
    config = action.redirect_config
    if config is None:
        raise ValueError("A redirect action has no configuration.")
    protocol = (config.protocol or "#{protocol}").replace("#{protocol}", context.protocol)
    query = "#{query}" if config.query is None else config.query
    status = 301 if config.status_code == "HTTP_301" else 302
    port = (config.port or "#{port}").replace("#{port}", str(context.port))
    start = f"{protocol.lower()}://{config.host or '#{host}'}:{context.outer_port(int(port))}"
    path = config.path or "/#{path}"

    def answer(template: str) -> Resource:
        location = _fill(template, context, protocol)
        answered = _answer(status, page(status), "text/html", context, _header("location", location))
        if context.with_port and "#{host}" in template:
            answered["typed_per_filter_config"] = {REWRITE_FILTER: _HOST_WITHOUT_PORT}
        return answered

    if "#{query}" not in query:
        return [({}, answer(start + path + (f"?{query}" if query else "")))]
    # Without a query string there is no question mark, or only what the template adds.
    rest = query.replace("#{query}", "")
    with_query = {"headers": [{"name": ":path", "string_match": {"safe_regex": {"regex": r"(?s)[^?]*\?.+"}}}]}
    return [
        (with_query, answer(f"{start}{path}?{query}")),
        ({}, answer(start + path + (f"?{rest}" if rest else ""))),
    ]


def _fill(template: str, context: ActionContext, protocol: str) -> str:
    """A header's format for a template; text of users is no format."""
    values = {
        "#{protocol}": protocol.lower(),
        "#{host}": "%DYNAMIC_METADATA(openecs:plain_host)%" if context.with_port else "%REQ(:AUTHORITY)%",
        "#{port}": str(context.outer_port(context.port)),
        "/#{path}": "%PATH(NQ:PATH)%",
        "#{query}": "%QUERY_PARAMS(ORIG)%",
    }
    parts: list[str] = []
    at = 0
    for match in _PLACEHOLDER.finditer(template):
        value = values.get(match[0])
        if value is None:
            raise ValueError("In a redirect, #{path} must follow a slash.")
        parts += [template[at : match.start()].replace("%", "%%"), value]
        at = match.end()
    return "".join(parts) + template[at:].replace("%", "%%")


def _header(name: str, value: str, *, add: bool = False) -> Resource:
    action = "APPEND_IF_EXISTS_OR_ADD" if add else "OVERWRITE_IF_EXISTS_OR_ADD"
    return {"header": {"key": name, "value": value}, "append_action": action}
