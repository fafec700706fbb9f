"""The filters that a request passes before it is sent on, and what a target group changes in them.  Pure."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.acs.host_documents import TargetGroupDocument
from openecs.agent.edge.envoy_actions import REWRITE_FILTER, REWRITE_KIND
from openecs.agent.edge.envoy_counters import time_answers
from openecs.agent.edge.envoy_match import SOURCE_KEY
from openecs.agent.edge.envoy_resources import Resource
from openecs.agent.edge.envoy_scripts import (
    APP_COOKIE_FILTER,
    app_cookie_filter,
    app_cookie_route,
    rewrite_url_filter,
    trace_filter,
)

_TYPE = "type.googleapis.com/envoy.extensions"
_SESSION = f"{_TYPE}.filters.http.stateful_session.v3.StatefulSession"
_SESSION_ROUTE = f"{_TYPE}.filters.http.stateful_session.v3.StatefulSessionPerRoute"
_COOKIE = f"{_TYPE}.http.stateful_session.cookie.v3.CookieBasedSessionState"

#: Cookies of the load balancer's own stickiness; both name the same target.
_LB_COOKIES = ("AWSALB", "AWSALBCORS")
_APP_COOKIE = "AWSALBAPP-0"


def http_filters(groups: Iterable[TargetGroupDocument], *, by_source: bool, rewrites: bool) -> list[Resource]:
    """The filters of a listener that forwards to these target groups.

    ``by_source``: a rule asks for the client's address; ``rewrites``: a rule has transforms, or needs the
    host without its port.
    """
    kinds = {_stickiness(group) for group in groups}
    filters: list[Resource] = []
    if by_source:
        filters.append(_source_filter())
    if rewrites:
        filters += [{"name": REWRITE_FILTER, "typed_config": {"@type": REWRITE_KIND}}, rewrite_url_filter()]
    filters.append(trace_filter())
    if "app_cookie" in kinds:
        filters += [app_cookie_filter(), _session_filter(_APP_COOKIE)]
    if "lb_cookie" in kinds:
        filters += [_session_filter(name) for name in _LB_COOKIES]
    filters.append(
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": f"{_TYPE}.filters.http.router.v3.Router",
                "suppress_envoy_headers": True,
                "dynamic_stats": True,
                "upstream_log": [time_answers()],
            },
        }
    )
    return filters


def group_filters(group: TargetGroupDocument) -> dict[str, Resource]:
    """Settings of those filters for requests to one target group."""
    match _stickiness(group):
        case "lb_cookie":
            seconds = int(group.attributes.get("stickiness.lb_cookie.duration_seconds") or 86400)
            return {
                name: {"@type": _SESSION_ROUTE, "stateful_session": _session(name, seconds, cross=name != "AWSALB")}
                for name in _LB_COOKIES
            }
        case "app_cookie":
            seconds = int(group.attributes.get("stickiness.app_cookie.duration_seconds") or 86400)
            cookie = group.attributes.get("stickiness.app_cookie.cookie_name", "")
            return {
                APP_COOKIE_FILTER: app_cookie_route(cookie),
                _APP_COOKIE: {
                    "@type": _SESSION_ROUTE,
                    "stateful_session": _session(_APP_COOKIE, seconds, cross=False),
                },
            }
        case _:
            return {}


def _stickiness(group: TargetGroupDocument) -> str:
    if group.attributes.get("stickiness.enabled") != "true":
        return ""
    return group.attributes.get("stickiness.type", "lb_cookie")


def _session_filter(name: str) -> Resource:
    """A filter for one cookie; without settings of a route it does nothing."""
    return {"name": name, "typed_config": {"@type": _SESSION}}


def _session(name: str, seconds: int, *, cross: bool) -> Resource:
    attributes = [{"name": "SameSite", "value": "None"}, {"name": "Secure", "value": ""}] if cross else []
    cookie = {"name": name, "path": "/", "ttl": f"{seconds}s", "attributes": attributes}
    return {
        "session_state": {
            "name": "envoy.http.stateful_session.cookie",
            "typed_config": {"@type": _COOKIE, "cookie": cookie},
        }
    }


def _source_filter() -> Resource:
    """Keeps the address of who connected where routes can compare it; no header carries it."""
    kind = f"{_TYPE}.filters.http.set_filter_state.v3.Config"
    value = {"text_format_source": {"inline_string": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"}}
    entry = {"object_key": SOURCE_KEY, "factory_key": "envoy.network.ip", "format_string": value, "read_only": True}
    return {
        "name": "envoy.filters.http.set_filter_state",
        "typed_config": {"@type": kind, "on_request_headers": [entry], "clear_route_cache": True},
    }
