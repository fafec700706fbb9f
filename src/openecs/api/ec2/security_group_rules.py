"""Rules of security groups: added, taken away, changed and shown, as permissions and by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from openecs.api.ec2 import group_rules
from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import invalid_combination, invalid_value, missing
from openecs.api.ec2.filters import Fields, one
from openecs.api.ec2.group_lookup import GroupLookup
from openecs.api.ec2.group_rules import Wanted, signature
from openecs.api.ec2.resources import SECURITY_GROUP_RULE, arn, new_id
from openecs.errors import AWSError
from openecs.model.security_group import SecurityGroup, SecurityGroupRule
from openecs.shapes import ec2
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

_FIELDS: Fields[SecurityGroupRule] = {
    "group-id": lambda r: one(r.group_id),
    "security-group-rule-id": lambda r: one(r.id),
}
Authorize = ec2.AuthorizeSecurityGroupIngressRequest | ec2.AuthorizeSecurityGroupEgressRequest
Revoke = ec2.RevokeSecurityGroupIngressRequest | ec2.RevokeSecurityGroupEgressRequest
Describe = ec2.UpdateSecurityGroupRuleDescriptionsIngressRequest | ec2.UpdateSecurityGroupRuleDescriptionsEgressRequest
NO_SUCH_RULE = AWSError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")


class SecurityGroupRules:
    """The operations on rules."""

    def __init__(self, state: State, describer: Describer, lookup: GroupLookup) -> None:
        self._state = state
        self._describer = describer
        self._lookup = lookup

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "AuthorizeSecurityGroupIngress": self.authorize_ingress,
            "AuthorizeSecurityGroupEgress": self.authorize_egress,
            "RevokeSecurityGroupIngress": self.revoke_ingress,
            "RevokeSecurityGroupEgress": self.revoke_egress,
            "ModifySecurityGroupRules": self.modify_rules,
            "UpdateSecurityGroupRuleDescriptionsIngress": self.describe_ingress_rules,
            "UpdateSecurityGroupRuleDescriptionsEgress": self.describe_egress_rules,
            "DescribeSecurityGroupRules": self.describe_rules,
        }

    def authorize_ingress(
        self, call: Call, request: ec2.AuthorizeSecurityGroupIngressRequest
    ) -> ec2.AuthorizeSecurityGroupIngressResult:
        """Let something in."""
        group = self._lookup.named(call, request.group_id, request.group_name)
        rules = self._add(call, group, request, egress=False)
        return ec2.AuthorizeSecurityGroupIngressResult(return_=True, security_group_rules=rules)

    def authorize_egress(
        self, call: Call, request: ec2.AuthorizeSecurityGroupEgressRequest
    ) -> ec2.AuthorizeSecurityGroupEgressResult:
        """Let something out."""
        group = self._lookup.by_id(call.region, request.group_id)
        rules = self._add(call, group, request, egress=True)
        return ec2.AuthorizeSecurityGroupEgressResult(return_=True, security_group_rules=rules)

    def revoke_ingress(
        self, call: Call, request: ec2.RevokeSecurityGroupIngressRequest
    ) -> ec2.RevokeSecurityGroupIngressResult:
        """Let something in no more; connections that are there go on."""
        group = self._lookup.named(call, request.group_id, request.group_name)
        revoked, unknown = self._remove(group, request, egress=False)
        return ec2.RevokeSecurityGroupIngressResult(
            return_=True, revoked_security_group_rules=revoked, unknown_ip_permissions=unknown
        )

    def revoke_egress(
        self, call: Call, request: ec2.RevokeSecurityGroupEgressRequest
    ) -> ec2.RevokeSecurityGroupEgressResult:
        """Let something out no more; connections that are there go on."""
        group = self._lookup.by_id(call.region, request.group_id)
        revoked, unknown = self._remove(group, request, egress=True)
        return ec2.RevokeSecurityGroupEgressResult(
            return_=True, revoked_security_group_rules=revoked, unknown_ip_permissions=unknown
        )

    def modify_rules(
        self, call: Call, request: ec2.ModifySecurityGroupRulesRequest
    ) -> ec2.ModifySecurityGroupRulesResult:
        """Put other contents into rules, whose ids stay."""
        group = self._lookup.by_id(call.region, request.group_id)
        if not request.security_group_rules:
            raise missing("SecurityGroupRule")
        changed: dict[str, SecurityGroupRule] = {}
        for update in request.security_group_rules:
            rule = self._rule(group, update.security_group_rule_id)
            if rule.id in changed:
                raise invalid_value(f"The security group rule ID '{rule.id}' is named twice.")
            changed[rule.id] = self._changed(group, rule, update.security_group_rule)
        after = [changed.get(rule.id, rule) for rule in self._state.security_group_rules.by("group", group.id)]
        _refuse_twins(after)
        with self._state.transaction() as tx:
            for rule in changed.values():
                tx.put(rule)
        return ec2.ModifySecurityGroupRulesResult(return_=True)

    def describe_ingress_rules(
        self, call: Call, request: ec2.UpdateSecurityGroupRuleDescriptionsIngressRequest
    ) -> ec2.UpdateSecurityGroupRuleDescriptionsIngressResult:
        """Change the descriptions of ingress rules."""
        self._describe(call, request, egress=False)
        return ec2.UpdateSecurityGroupRuleDescriptionsIngressResult(return_=True)

    def describe_egress_rules(
        self, call: Call, request: ec2.UpdateSecurityGroupRuleDescriptionsEgressRequest
    ) -> ec2.UpdateSecurityGroupRuleDescriptionsEgressResult:
        """Change the descriptions of egress rules."""
        self._describe(call, request, egress=True)
        return ec2.UpdateSecurityGroupRuleDescriptionsEgressResult(return_=True)

    def describe_rules(
        self, call: Call, request: ec2.DescribeSecurityGroupRulesRequest
    ) -> ec2.DescribeSecurityGroupRulesResult:
        """The region's rules, one by one."""
        page, token = self._describer.select(
            call,
            SECURITY_GROUP_RULE,
            self._state.security_group_rules.by("region", call.region),
            _FIELDS,
            ids=request.security_group_rule_ids,
            filters=request.filters,
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeSecurityGroupRulesResult(
            security_group_rules=tuple(self._view(rule) for rule in page), next_token=token
        )

    def _add(
        self, call: Call, group: SecurityGroup, request: Authorize, *, egress: bool
    ) -> tuple[ec2.SecurityGroupRule, ...]:
        wanted = self._wanted(group, request)
        if not wanted:
            raise missing("ipPermissions")
        tags = tagging.at_creation(request.tag_specifications, SECURITY_GROUP_RULE)
        there = self._by_signature(group, egress=egress)
        for rule in wanted:
            if rule in there:
                raise _duplicate(rule)
        added = [
            group_rules.record(
                rule, group, rule_id=new_id("sgr", call.ids), egress=egress, description=description or None
            )
            for rule, description in wanted.items()
        ]
        with self._state.transaction() as tx:
            for record in added:
                tx.put(record)
                tagging.give(tx, self._state, record.id, tags.get("security-group-rule", ()))
        return tuple(self._view(record) for record in added)

    def _remove(
        self, group: SecurityGroup, request: Revoke, *, egress: bool
    ) -> tuple[tuple[ec2.RevokedSecurityGroupRule, ...], tuple[ec2.IpPermission, ...] | None]:
        unknown: list[SecurityGroupRule] = []
        if request.security_group_rule_ids:
            goes = [self._rule(group, rule_id) for rule_id in dict.fromkeys(request.security_group_rule_ids)]
            for rule in goes:
                if rule.is_egress != egress:
                    raise SECURITY_GROUP_RULE.missing(rule.id)
        else:
            wanted = self._wanted(group, request)
            if not wanted:
                raise missing("ipPermissions")
            there = self._by_signature(group, egress=egress)
            goes = [there[rule] for rule in wanted if rule in there]
            unknown = [
                group_rules.record(rule, group, rule_id="", egress=egress, description=None)
                for rule in wanted
                if rule not in there
            ]
            vpc = self._state.vpcs.get(group.vpc_id)
            if unknown and not (vpc is not None and vpc.is_default):
                raise NO_SUCH_RULE
        with self._state.transaction() as tx:
            for rule in goes:
                tx.delete(rule)
                tagging.forget(tx, self._state, rule.id)
        return tuple(_revoked(rule) for rule in goes), group_rules.permissions(unknown) or None

    def _describe(self, call: Call, request: Describe, *, egress: bool) -> None:
        group = self._lookup.named(call, request.group_id, request.group_name)
        if bool(request.ip_permissions) == bool(request.security_group_rule_descriptions):
            raise invalid_combination("Either ipPermissions or securityGroupRuleDescriptions must be given.")
        wanted: dict[str, str | None] = {}
        if request.ip_permissions:
            there = self._by_signature(group, egress=egress)
            for rule, text in self._from_permissions(group, request.ip_permissions).items():
                if rule not in there:
                    raise NO_SUCH_RULE
                wanted[there[rule].id] = text
        for entry in request.security_group_rule_descriptions or ():
            found = self._rule(group, entry.security_group_rule_id or "")
            if found.is_egress != egress:
                raise SECURITY_GROUP_RULE.missing(found.id)
            group_rules.check_description(entry.description)
            wanted[found.id] = entry.description
        with self._state.transaction() as tx:
            for rule_id, text in wanted.items():
                tx.put(msgspec.structs.replace(self._rule(group, rule_id), description=text or None))

    def _changed(
        self, group: SecurityGroup, rule: SecurityGroupRule, wanted: ec2.SecurityGroupRuleRequest | None
    ) -> SecurityGroupRule:
        if wanted is None:
            raise missing("SecurityGroupRule")
        peers = (wanted.cidr_ipv4, wanted.cidr_ipv6, wanted.prefix_list_id, wanted.referenced_group_id)
        if sum(peer is not None for peer in peers) != 1:
            raise invalid_combination(
                "Exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId must be given for a rule."
            )
        pair = ec2.UserIdGroupPair(group_id=wanted.referenced_group_id, description=wanted.description)
        permission = ec2.IpPermission(
            ip_protocol=wanted.ip_protocol,
            from_port=wanted.from_port,
            to_port=wanted.to_port,
            ip_ranges=(ec2.IpRange(cidr_ip=wanted.cidr_ipv4),) if wanted.cidr_ipv4 is not None else None,
            ipv6_ranges=(ec2.Ipv6Range(cidr_ipv6=wanted.cidr_ipv6),) if wanted.cidr_ipv6 is not None else None,
            prefix_list_ids=(
                (ec2.PrefixListId(prefix_list_id=wanted.prefix_list_id),) if wanted.prefix_list_id is not None else None
            ),
            user_id_group_pairs=(pair,) if wanted.referenced_group_id is not None else None,
        )
        (contents,) = self._from_permissions(group, (permission,))
        group_rules.check_description(wanted.description)
        return group_rules.record(
            contents, group, rule_id=rule.id, egress=rule.is_egress, description=wanted.description or None
        )

    def _wanted(self, group: SecurityGroup, request: Authorize | Revoke) -> Mapping[Wanted, str | None]:
        alone = group_rules.flat(
            request.ip_protocol,
            request.from_port,
            request.to_port,
            request.cidr_ip,
            request.source_security_group_name,
        )
        if alone is not None and request.ip_permissions:
            raise invalid_combination("The parameter ipPermissions may not be used in combination with cidrIp")
        return self._from_permissions(group, request.ip_permissions or ((alone,) if alone is not None else ()))

    def _from_permissions(
        self, group: SecurityGroup, permissions: Iterable[ec2.IpPermission]
    ) -> dict[Wanted, str | None]:
        return group_rules.wanted(
            permissions,
            lambda pair: self._lookup.peer(group, pair),
            lambda name: self._lookup.prefix_list(group.region, name),
        )

    def _by_signature(self, group: SecurityGroup, *, egress: bool) -> dict[Wanted, SecurityGroupRule]:
        rules = self._state.security_group_rules.by("group", group.id)
        return {signature(rule): rule for rule in rules if rule.is_egress == egress}

    def _rule(self, group: SecurityGroup, rule_id: str) -> SecurityGroupRule:
        rule = self._state.security_group_rules.get(rule_id)
        if rule is None or rule.group_id != group.id:
            raise SECURITY_GROUP_RULE.missing(rule_id)
        return rule

    def _view(self, rule: SecurityGroupRule) -> ec2.SecurityGroupRule:
        peer = self._state.security_groups.get(rule.referenced_group_id) if rule.referenced_group_id else None
        return ec2.SecurityGroupRule(
            security_group_rule_id=rule.id,
            security_group_rule_arn=arn(rule.region, rule.owner, SECURITY_GROUP_RULE, rule.id),
            group_id=rule.group_id,
            group_owner_id=rule.owner,
            is_egress=rule.is_egress,
            ip_protocol=rule.protocol,
            from_port=rule.from_port,
            to_port=rule.to_port,
            cidr_ipv4=rule.cidr_ipv4,
            cidr_ipv6=rule.cidr_ipv6,
            prefix_list_id=rule.prefix_list_id,
            referenced_group_info=(
                ec2.ReferencedSecurityGroup(group_id=peer.id, user_id=peer.owner, vpc_id=peer.vpc_id)
                if peer is not None
                else None
            ),
            description=rule.description,
            tags=tagging.shown(self._state, rule.id),
        )


def _revoked(rule: SecurityGroupRule) -> ec2.RevokedSecurityGroupRule:
    return ec2.RevokedSecurityGroupRule(
        security_group_rule_id=rule.id,
        group_id=rule.group_id,
        is_egress=rule.is_egress,
        ip_protocol=rule.protocol,
        from_port=rule.from_port,
        to_port=rule.to_port,
        cidr_ipv4=rule.cidr_ipv4,
        cidr_ipv6=rule.cidr_ipv6,
        prefix_list_id=rule.prefix_list_id,
        referenced_group_id=rule.referenced_group_id,
        description=rule.description,
    )


def _duplicate(rule: Wanted) -> AWSError:
    return AWSError("InvalidPermission.Duplicate", f'the specified rule "{rule}" already exists')


def _refuse_twins(rules: Iterable[SecurityGroupRule]) -> None:
    seen: set[tuple[bool, Wanted]] = set()
    for rule in rules:
        what = (rule.is_egress, signature(rule))
        if what in seen:
            raise _duplicate(what[1])
        seen.add(what)
