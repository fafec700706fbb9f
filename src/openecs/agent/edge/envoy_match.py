"""A rule's conditions as what Envoy compares: all conditions hold, of each one value does.  Pure.

Host names and header values are compared without regard to case, paths and methods with it.  A
header that a request carries several times is compared as one value, joined by commas.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from openecs.agent.edge.envoy_patterns import any_of, found_in, in_query, literal, query_pair, wildcard
from openecs.agent.edge.envoy_resources import Resource
from openecs.shapes import elbv2

#: Under this name a request's filter state holds the address of who connected.
SOURCE_KEY = "openecs.source"


def match_conditions(conditions: Iterable[elbv2.RuleCondition]) -> Resource:
    """Envoy's ``RouteMatch`` for the conditions; everything matches when there are none.

    Raises ``ValueError`` with a sentence for a condition that Envoy cannot check.
    """
    headers: list[Resource] = []
    sources: list[Resource] = []
    paths: list[str] = []
    for condition in conditions:
        match condition.field:
            case "host-header":
                headers.append(_host(condition))
            case "path-pattern":
                paths.append(_path(condition))
            case "http-header":
                headers.append(_header(condition))
            case "http-request-method":
                values = condition.http_request_method_config and condition.http_request_method_config.values
                headers.append(_regex_header(":method", any_of([literal(value) for value in values or ()])))
            case "query-string":
                pairs = condition.query_string_config and condition.query_string_config.values
                expression = in_query([query_pair(pair.key, pair.value or "") for pair in pairs or ()])
                headers.append(_regex_header(":path", expression))
            case "source-ip":
                sources.append(_source(condition))
            case _:
                raise ValueError(f"Conditions on {condition.field} are not done.")
    found: Resource = {"safe_regex": {"regex": paths[0]}} if paths else {"prefix": "/"}
    headers += [_regex_header(":path", f"(?s)(?:{path})(?:\\?.*)?") for path in paths[1:]]
    if headers:
        found["headers"] = headers
    if sources:
        found["filter_state"] = sources
    return found


def needs_source(conditions: Iterable[elbv2.RuleCondition]) -> bool:
    """Whether one of them is about the client's address."""
    return any(condition.field == "source-ip" for condition in conditions)


def _host(condition: elbv2.RuleCondition) -> Resource:
    config = condition.host_header_config
    values = (config.values if config else None) or condition.values or ()
    regexes = (config.regex_values if config else None) or condition.regex_values or ()
    # The port that clients add is no part of the name.
    expressions = [f"{wildcard(value)}(?::[0-9]+)?" for value in values]
    expressions += [found_in(value) for value in regexes]
    return _regex_header(":authority", any_of(expressions, ignore_case=True))


def _path(condition: elbv2.RuleCondition) -> str:
    config = condition.path_pattern_config
    values = (config.values if config else None) or condition.values or ()
    regexes = (config.regex_values if config else None) or condition.regex_values or ()
    return any_of([*map(wildcard, values), *map(found_in, regexes)])


def _header(condition: elbv2.RuleCondition) -> Resource:
    config = condition.http_header_config
    if config is None or not config.http_header_name:
        raise ValueError("A condition on an HTTP header names no header.")
    regexes = config.regex_values or condition.regex_values or ()
    expressions = [*map(wildcard, config.values or ()), *map(found_in, regexes)]
    return _regex_header(config.http_header_name, any_of(expressions, ignore_case=not regexes))


def _regex_header(name: str, expression: str) -> Resource:
    return {"name": name, "string_match": {"safe_regex": {"regex": expression}}}


def _source(condition: elbv2.RuleCondition) -> Resource:
    values = condition.source_ip_config and condition.source_ip_config.values
    ranges = []
    for value in values or ():
        network = ipaddress.ip_network(value, strict=False)
        ranges.append({"address_prefix": str(network.network_address), "prefix_len": network.prefixlen})
    return {"key": SOURCE_KEY, "address_match": {"ranges": ranges}}
