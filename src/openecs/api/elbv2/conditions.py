"""Conditions and transforms of listener rules: checked and brought into the one form that is kept.

Host and path conditions may be written in two ways on AWS; both are kept filled in, as
DescribeRules shows them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable

from openecs.api.elbv2 import limits
from openecs.api.elbv2.errors import invalid_configuration, validation_error
from openecs.model import network_text
from openecs.planning.re2_syntax import re2_problem
from openecs.shapes import elbv2

LONGEST_VALUE = 128
LONGEST_REWRITE = 1024
_HOST = re.compile(r"[A-Za-z0-9.*?-]+")
_PATH = re.compile(r"[A-Za-z0-9_\-.$/~\"'@:+&*?%!(),;=\[\]]+")
_METHOD = re.compile(r"[A-Z_-]{1,40}")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}")
_ONCE = ("host-header", "path-pattern", "http-request-method", "source-ip")


def checked_conditions(conditions: Iterable[elbv2.RuleCondition]) -> tuple[elbv2.RuleCondition, ...]:
    """The conditions of a rule as they are kept.  Raises AWS's refusals."""
    kept = tuple(_checked(condition) for condition in conditions)
    if not kept:
        raise validation_error("A rule must have at least one condition")
    for field, times in Counter(condition.field for condition in kept).items():
        if times > 1 and field in _ONCE:
            raise validation_error(f"A rule can have at most one condition with the field '{field}'")
    values = [value for condition in kept for value in _values(condition)]
    if len(values) > limits.CONDITION_VALUES:
        raise validation_error(f"A rule can have at most '{limits.CONDITION_VALUES}' condition values")
    wildcards = sum(len(re.findall(r"(?<!\\)[*?]", value)) for value in values)
    if wildcards > limits.CONDITION_WILDCARDS:
        raise validation_error(f"A rule can have at most '{limits.CONDITION_WILDCARDS}' condition wildcards")
    return kept


def checked_transforms(transforms: Iterable[elbv2.RuleTransform] | None) -> tuple[elbv2.RuleTransform, ...]:
    """The transforms of a rule.  Raises AWS's refusals."""
    kept = tuple(transforms or ())
    if len({transform.type for transform in kept}) < len(kept):
        raise validation_error("A rule can have one transform of each type at most")
    for transform in kept:
        configs = {
            "url-rewrite": transform.url_rewrite_config,
            "host-header-rewrite": transform.host_header_rewrite_config,
        }
        wanted = configs.pop(transform.type)
        if wanted is None or any(other is not None for other in configs.values()):
            raise validation_error(f"A transform of the type '{transform.type}' must have its own configuration only")
        if len(wanted.rewrites or ()) != 1:
            raise validation_error(f"A transform of the type '{transform.type}' must have exactly one rewrite")
        for rewrite in wanted.rewrites or ():
            _regex(rewrite.regex, LONGEST_REWRITE)
            if len(rewrite.replace) > LONGEST_REWRITE:
                raise validation_error(f"A replacement cannot be longer than '{LONGEST_REWRITE}' characters")
            _check_replacement(rewrite)
    return kept


def _check_replacement(rewrite: elbv2.RewriteConfig) -> None:
    groups = re.compile(rewrite.regex).groups
    for number in re.findall(r"\$(\d)", rewrite.replace):
        if int(number) > groups:
            raise validation_error(f"The replacement '{rewrite.replace}' names the group ${number}, which is not there")


def _checked(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    field = condition.field
    check = _CHECKS.get(field or "")
    if field is None or check is None:
        raise validation_error(f"Condition field '{field}' must be one of '[{', '.join(_CHECKS)}]'")
    own = _OWN[field]
    if any(getattr(condition, name) is not None for name in _OWN.values() if name != own):
        raise validation_error(f"A condition with the field '{field}' cannot have the configuration of another field")
    plain_form = ("host-header", "path-pattern")
    misplaced = condition.values if field == "http-header" else condition.values or condition.regex_values
    if misplaced and field not in plain_form:
        raise validation_error(f"A condition with the field '{field}' has its values in its configuration")
    return check(condition)


def _host(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    config = condition.host_header_config
    values, regexes = _texts(condition, config.values if config else None, config.regex_values if config else None)
    for value in values:
        if not _HOST.fullmatch(value):
            raise validation_error(f"The host header value '{value}' contains characters that are not allowed")
    return elbv2.RuleCondition(
        field="host-header",
        values=values or None,
        regex_values=regexes or None,
        host_header_config=elbv2.HostHeaderConditionConfig(values=values or None, regex_values=regexes or None),
    )


def _path(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    config = condition.path_pattern_config
    values, regexes = _texts(condition, config.values if config else None, config.regex_values if config else None)
    for value in values:
        if not _PATH.fullmatch(value):
            raise validation_error(f"The path pattern '{value}' contains characters that are not allowed")
    return elbv2.RuleCondition(
        field="path-pattern",
        values=values or None,
        regex_values=regexes or None,
        path_pattern_config=elbv2.PathPatternConditionConfig(values=values or None, regex_values=regexes or None),
    )


def _header(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    config = condition.http_header_config or elbv2.HttpHeaderConditionConfig()
    name = config.http_header_name or ""
    if not _HEADER.fullmatch(name):
        raise validation_error(f"The HTTP header name '{name}' is not valid")
    if name.lower() == "host":
        raise validation_error("The HTTP header name 'host' is not valid; use a condition with the field 'host-header'")
    values, regexes = _texts(condition, config.values, config.regex_values)
    return elbv2.RuleCondition(
        field="http-header",
        http_header_config=elbv2.HttpHeaderConditionConfig(
            http_header_name=name, values=values or None, regex_values=regexes or None
        ),
    )


def _method(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    config = condition.http_request_method_config
    values = _some((config.values if config else None) or ())
    for value in values:
        if not _METHOD.fullmatch(value):
            raise validation_error(f"The HTTP request method '{value}' is not valid")
    return elbv2.RuleCondition(
        field="http-request-method", http_request_method_config=elbv2.HttpRequestMethodConditionConfig(values=values)
    )


def _query(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    config = condition.query_string_config
    pairs = tuple((config.values if config else None) or ())
    _some(pair.value or "" for pair in pairs)
    for pair in pairs:
        if not pair.value:
            raise validation_error("The value of a query string condition cannot be empty")
        if len(pair.key or "") > LONGEST_VALUE:
            raise validation_error(f"A condition value cannot be longer than '{LONGEST_VALUE}' characters")
    return elbv2.RuleCondition(
        field="query-string",
        query_string_config=elbv2.QueryStringConditionConfig(
            values=tuple(elbv2.QueryStringKeyValuePair(key=pair.key or None, value=pair.value) for pair in pairs)
        ),
    )


def _source(condition: elbv2.RuleCondition) -> elbv2.RuleCondition:
    config = condition.source_ip_config or elbv2.SourceIpConditionConfig()
    if config.ip_address_type is not None:
        raise validation_error("The IP address type of a source IP condition is for network load balancers only")
    values = _some(config.values or ())
    for value in values:
        network = network_text.ipv4_block(value) or network_text.ipv6_block(value)
        if network is None:
            raise validation_error(f"The source IP value '{value}' must be in CIDR format")
        if str(network) in ("255.255.255.255/32",):
            raise validation_error(f"The source IP value '{value}' is not allowed")
    return elbv2.RuleCondition(field="source-ip", source_ip_config=elbv2.SourceIpConditionConfig(values=values))


_CHECKS: dict[str, Callable[[elbv2.RuleCondition], elbv2.RuleCondition]] = {
    "host-header": _host,
    "path-pattern": _path,
    "http-header": _header,
    "query-string": _query,
    "http-request-method": _method,
    "source-ip": _source,
}
_OWN = {
    "host-header": "host_header_config",
    "path-pattern": "path_pattern_config",
    "http-header": "http_header_config",
    "query-string": "query_string_config",
    "http-request-method": "http_request_method_config",
    "source-ip": "source_ip_config",
}


def _texts(
    condition: elbv2.RuleCondition, values: tuple[str, ...] | None, regexes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Values and regular expressions, from whichever of the two places they were written in."""
    for one, other in ((condition.values, values), (condition.regex_values, regexes)):
        if one and other and one != other:
            raise validation_error(f"A condition with the field '{condition.field}' has two different lists of values")
    plain, patterns = tuple(values or condition.values or ()), tuple(regexes or condition.regex_values or ())
    if plain and patterns:
        raise validation_error("A condition can have values or regular expressions, not both")
    if not plain and not patterns:
        raise validation_error("A condition value must be specified")
    for pattern in patterns:
        _regex(pattern, LONGEST_VALUE)
    return _some(plain) if plain else (), patterns


def _some(values: Iterable[str]) -> tuple[str, ...]:
    kept = tuple(values)
    if not kept:
        raise validation_error("A condition value must be specified")
    for value in kept:
        if not value:
            raise validation_error("A condition value cannot be empty")
        if len(value) > LONGEST_VALUE:
            raise validation_error(f"A condition value cannot be longer than '{LONGEST_VALUE}' characters")
    return kept


def _regex(pattern: str, longest: int) -> None:
    if not pattern or len(pattern) > longest:
        raise validation_error(f"A regular expression must have 1 to {longest} characters")
    problem = re2_problem(pattern)
    if problem is not None:
        raise invalid_configuration(f"The regular expression '{pattern}' {problem}")


def _values(condition: elbv2.RuleCondition) -> list[str]:
    """All values of a condition; what has none of its own has those of its configuration."""
    config = getattr(condition, _OWN[condition.field or ""])
    found = [*(config.values or ()), *(getattr(config, "regex_values", None) or ())]
    return [value if isinstance(value, str) else f"{value.key or ''}{value.value or ''}" for value in found]
