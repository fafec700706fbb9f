"""Write the typed wire shapes and operation tables from the installed botocore models.

For every service in ``SERVED`` this writes two modules:

* ``src/openecs/shapes/<service>.py``: one frozen ``msgspec.Struct`` per structure
  that a served operation can reach, one ``Literal`` alias per enum;
* ``src/openecs/wire/generated/<service>.py``: the service's protocol facts, the names of
  all its operations, and one ``Operation`` record per served operation.

Nobody edits the results.  ``--check`` exits 1 when they differ from what the installed
botocore would give, which is how CI notices drift.  botocore is a development dependency
only; the product never imports it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import keyword
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import botocore
from botocore import xform_name

from openecs.wire.constraints import SEPARATORS

ROOT = Path(__file__).resolve().parent.parent
ALL = re.compile(r".*")

#: What of EC2 belongs to networks and to the hosts that tasks run on.
EC2_OPERATIONS = """
    AllocateAddress AssociateAddress AssociateRouteTable AssociateVpcCidrBlock
    AttachInternetGateway AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress
    CreateDefaultSubnet CreateDefaultVpc CreateInternetGateway CreateLaunchTemplate
    CreateNatGateway CreateNetworkAcl CreateNetworkAclEntry CreateNetworkInterface CreateRoute
    CreateRouteTable CreateSecurityGroup CreateSubnet CreateTags CreateVpc CreateVpcEndpoint
    DeleteInternetGateway DeleteLaunchTemplate DeleteNatGateway DeleteNetworkAcl
    DeleteNetworkAclEntry DeleteNetworkInterface DeleteRoute DeleteRouteTable DeleteSecurityGroup
    DeleteSubnet DeleteTags DeleteVpc DeleteVpcEndpoints DescribeAccountAttributes
    DescribeAddresses DescribeAddressesAttribute DescribeAvailabilityZones DescribeDhcpOptions
    DescribeEgressOnlyInternetGateways DescribeFlowLogs DescribeImages DescribeInstanceAttribute
    DescribeInstanceStatus DescribeInstanceTypeOfferings DescribeInstanceTypes DescribeInstances
    DescribeInternetGateways DescribeLaunchTemplateVersions DescribeLaunchTemplates
    DescribeManagedPrefixLists DescribeNatGateways DescribeNetworkAcls
    DescribeNetworkInterfaceAttribute DescribeNetworkInterfaces DescribePrefixLists DescribeRegions
    DescribeRouteTables DescribeSecurityGroupReferences DescribeSecurityGroupRules
    DescribeSecurityGroups DescribeStaleSecurityGroups DescribeSubnets DescribeTags
    DescribeVpcAttribute DescribeVpcEndpointServices DescribeVpcEndpoints
    DescribeVpcPeeringConnections DescribeVpcs DetachInternetGateway DetachNetworkInterface
    DisassociateAddress DisassociateRouteTable DisassociateVpcCidrBlock GetSecurityGroupsForVpc
    ModifyNetworkInterfaceAttribute ModifySecurityGroupRules ModifySubnetAttribute
    ModifyVpcAttribute ModifyVpcEndpoint ReleaseAddress ReplaceNetworkAclAssociation
    ReplaceNetworkAclEntry ReplaceRoute ReplaceRouteTableAssociation RevokeSecurityGroupEgress
    RevokeSecurityGroupIngress UpdateSecurityGroupRuleDescriptionsEgress
    UpdateSecurityGroupRuleDescriptionsIngress
"""

#: CloudWatch Logs: groups, streams and events, and everything that reads or watches them.
LOGS_OPERATIONS = """
    AssociateKmsKey CreateLogGroup CreateLogStream DeleteLogGroup DeleteLogStream DeleteMetricFilter
    DeleteQueryDefinition DeleteResourcePolicy DeleteRetentionPolicy DeleteSubscriptionFilter
    DescribeLogGroups DescribeLogStreams DescribeMetricFilters DescribeQueries
    DescribeQueryDefinitions DescribeResourcePolicies DescribeSubscriptionFilters
    DisassociateKmsKey FilterLogEvents GetLogEvents GetLogGroupFields GetLogRecord GetQueryResults
    ListLogGroups ListTagsForResource ListTagsLogGroup PutLogEvents PutLogGroupDeletionProtection
    PutMetricFilter PutQueryDefinition PutResourcePolicy PutRetentionPolicy PutSubscriptionFilter
    StartLiveTail StartQuery StopQuery TagLogGroup TagResource TestMetricFilter UntagLogGroup
    UntagResource
"""

#: CloudWatch: metrics, alarms, dashboards.
CLOUDWATCH_OPERATIONS = """
    DeleteAlarmMuteRule DeleteAlarms DeleteDashboards DescribeAlarmHistory DescribeAlarms
    DescribeAlarmsForMetric DisableAlarmActions EnableAlarmActions GetAlarmMuteRule GetDashboard
    GetMetricData GetMetricStatistics GetMetricWidgetImage ListAlarmMuteRules ListDashboards
    ListMetrics ListTagsForResource PutAlarmMuteRule PutCompositeAlarm PutDashboard PutMetricAlarm
    PutMetricData SetAlarmState TagResource UntagResource
"""

#: EC2 Auto Scaling: groups as capacity providers of ECS use them.
AUTOSCALING_OPERATIONS = """
    CreateAutoScalingGroup CreateOrUpdateTags DeleteAutoScalingGroup DeleteTags
    DescribeAccountLimits DescribeAutoScalingGroups DescribeAutoScalingInstances
    DescribeScalingActivities DescribeTags ResumeProcesses SetDesiredCapacity SetInstanceHealth
    SetInstanceProtection SuspendProcesses TerminateInstanceInAutoScalingGroup
    UpdateAutoScalingGroup
"""

#: EventBridge: buses, rules, targets, archives and HTTP destinations.
EVENTS_OPERATIONS = """
    CancelReplay CreateApiDestination CreateArchive CreateConnection CreateEventBus DeauthorizeConnection
    DeleteApiDestination DeleteArchive DeleteConnection DeleteEventBus DeleteRule
    DescribeApiDestination DescribeArchive DescribeConnection DescribeEventBus DescribeReplay
    DescribeRule DisableRule EnableRule ListApiDestinations ListArchives ListConnections
    ListEventBuses ListReplays ListRuleNamesByTarget ListRules ListTagsForResource
    ListTargetsByRule PutEvents PutPermission PutRule PutTargets RemovePermission RemoveTargets
    StartReplay TagResource TestEventPattern UntagResource UpdateApiDestination UpdateArchive
    UpdateConnection UpdateEventBus
"""

#: Service → (botocore folder, operations served).  An operation that matches the pattern
#: gets typed shapes; the others are known by name only and answered "not built yet".
SERVED: dict[str, tuple[str, re.Pattern[str]]] = {
    "ecs": ("ecs", re.compile(r"^(?!.*(Gateway|Daemon)).*$")),
    "logs": ("logs", re.compile(rf"^({'|'.join(LOGS_OPERATIONS.split())})$")),
    "sts": ("sts", re.compile(r"^GetCallerIdentity$")),
    "ec2": ("ec2", re.compile(rf"^({'|'.join(EC2_OPERATIONS.split())})$")),
    "elbv2": (
        "elbv2",
        re.compile(r"^(?!.*(TrustStore|SharedTrust|ResourcePolicy|ModifyCapacityReservation|ModifyIpPools)).*$"),
    ),
    "servicediscovery": ("servicediscovery", ALL),
    "acm": (
        "acm",
        re.compile(
            r"^(ImportCertificate|DescribeCertificate|ListCertificates|GetCertificate|DeleteCertificate"
            r"|AddTagsToCertificate|RemoveTagsFromCertificate|ListTagsForCertificate)$"
        ),
    ),
    "cloudwatch": ("cloudwatch", re.compile(rf"^({'|'.join(CLOUDWATCH_OPERATIONS.split())})$")),
    "application_autoscaling": ("application-autoscaling", re.compile(r"^(?!GetPredictive).*$")),
    "autoscaling": ("autoscaling", re.compile(rf"^({'|'.join(AUTOSCALING_OPERATIONS.split())})$")),
    "events": ("events", re.compile(rf"^({'|'.join(EVENTS_OPERATIONS.split())})$")),
    "scheduler": ("scheduler", ALL),
}

HEADER = '"""Generated by tools/generate_shapes.py from botocore {version}. Do not edit."""\n'

#: Java spells some classes of characters in a way that Python's ``re`` does not know.
PATTERN_FIXES = {r"\p{L}": r"\w", r"\p{Z}": SEPARATORS, r"\p{N}": r"\d"}

#: Values that OpenECS takes beyond the model's: log drivers of the engine that AWS's agent
#: knows but AWS's API does not name; and the state of an attached internet gateway, which the
#: model tells in words only; and what replies of EC2 spell in another way than its model.
MORE_VALUES = {
    "LogDriver": ["local", "none"],
    "AttachmentStatus": ["available"],
    "NetworkInterfaceType": ["nat_gateway"],
    "State": ["available"],
}


def load_model(folder: str) -> dict[str, Any]:
    """The newest ``service-2.json`` of one service as botocore ships it."""
    base = Path(botocore.__file__).parent / "data" / folder
    newest = sorted(p for p in base.iterdir() if p.is_dir())[-1]
    packed = newest / "service-2.json.gz"
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (newest / "service-2.json").read_bytes()
    model: dict[str, Any] = json.loads(raw)
    return model


def camel(name: str) -> str:
    """What msgspec's ``rename="camel"`` makes of an attribute name."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def pascal(name: str) -> str:
    """What msgspec's ``rename="pascal"`` makes of an attribute name."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


#: Strings whose pattern is not kept: dead letters of schedules go to log groups here.
NO_PATTERN = {"DeadLetterConfigArnString"}


class Service:
    """One service's model and the shapes that its served operations reach."""

    def __init__(self, model: dict[str, Any], served: re.Pattern[str]) -> None:
        self.model = model
        self.shapes: dict[str, Any] = model["shapes"]
        self.operations = sorted(model["operations"])
        self.served = [name for name in self.operations if served.match(name)]
        self.protocols: list[str] = model["metadata"].get("protocols") or [model["metadata"]["protocol"]]
        self.rest = "rest-json" in self.protocols
        #: Shapes that requests have, and those that replies have.
        self.asked, self.answered = (self._role(role) for role in ("input", "output"))
        self.reached = list(dict.fromkeys([*self.asked, *self.answered]))

    def _role(self, role: str) -> list[str]:
        reached: list[str] = []
        for name in self.served:
            operation = self.model["operations"][name]
            if role in operation:
                self._reach(operation[role]["shape"], reached)
        return reached

    def _reach(self, name: str, reached: list[str]) -> None:
        if name in reached:
            return
        shape = self.shapes[name]
        if shape["type"] == "structure":
            reached.append(name)
            for member in shape["members"].values():
                self._reach(member["shape"], reached)
        elif shape["type"] == "list":
            self._reach(shape["member"]["shape"], reached)
        elif shape["type"] == "map":
            self._reach(shape["key"]["shape"], reached)
            self._reach(shape["value"]["shape"], reached)
        elif shape.get("enum"):
            reached.append(name)

    def python_type(self, name: str) -> str:
        """The annotation of one shape, constraints included."""
        shape = self.shapes[name]
        kind = shape["type"]
        if kind == "structure":
            return f"{name}"
        if kind == "list":
            inner = f"tuple[{self.python_type(shape['member']['shape'])}, ...]"
            return self._constrained(inner, shape, "min_length", "max_length")
        if kind == "map":
            key, value = shape["key"]["shape"], shape["value"]["shape"]
            inner = f"dict[{self.python_type(key)}, {self.python_type(value)}]"
            return self._constrained(inner, shape, "min_length", "max_length")
        if kind == "string":
            if shape.get("enum"):
                return name
            kept = {key: value for key, value in shape.items() if key != "pattern" or name not in NO_PATTERN}
            return self._constrained("str", kept, "min_length", "max_length")
        if kind in ("integer", "long"):
            bits = 31 if kind == "integer" else 63
            limits = {"min": -(2**bits), "max": 2**bits - 1}
            return self._constrained("int", limits | {k: v for k, v in shape.items() if v is not None}, "ge", "le")
        if kind in ("float", "double"):
            return self._constrained("float", shape, "ge", "le")
        if kind == "timestamp" and self.protocols != ["json"]:
            # JSON writes plain numbers; the other protocols must know that it is a time.
            return "Timestamp"
        return {"boolean": "bool", "timestamp": "float", "blob": "bytes"}[kind]

    def _constrained(self, inner: str, shape: dict[str, Any], low: str, high: str) -> str:
        limits = []
        if shape.get("min") is not None and not (low == "min_length" and shape["min"] == 0):
            limits.append(f"{low}={int(shape['min'])}")
        if shape.get("max") is not None:
            limits.append(f"{high}={int(shape['max'])}")
        pattern = shape.get("pattern")
        if pattern:
            for java, python in PATTERN_FIXES.items():
                pattern = pattern.replace(java, python)
            try:
                re.compile(pattern)
            except re.error:
                pattern = None
        if pattern:
            # AWS matches the whole value; msgspec searches.
            limits.append(f"pattern={f'^(?:{pattern}){chr(92)}Z'!r}")
        return f"Annotated[{inner}, Meta({', '.join(limits)})]" if limits else inner

    def struct(self, name: str) -> list[str]:
        """The lines of one structure's class."""
        shape = self.shapes[name]
        members = shape["members"]
        upper = sum(member[:1].isupper() for member in members)
        rename, style = ("pascal", pascal) if upper * 2 > len(members) else ("camel", camel)
        lines = [f'class {name}(Shape, frozen=True, kw_only=True, rename="{rename}"):']
        required = set(shape.get("required", ()))
        for member, ref in members.items():
            attribute = xform_name(member)
            if keyword.iskeyword(attribute):
                attribute += "_"
            annotation = self.python_type(ref["shape"])
            exact = style(attribute) == member
            if member in required:
                default = "" if exact else f' = field(name="{member}")'
            else:
                annotation += " | None"
                default = " = None" if exact else f' = field(name="{member}", default=None)'
            lines.append(f"    {attribute}: {annotation}{default}")
        if not members:
            lines.append("    pass")
        return lines

    def shapes_module(self) -> str:
        """The text of ``shapes/<service>.py``."""
        enums = [n for n in self.reached if self.shapes[n].get("enum")]
        structs = [n for n in self.reached if self.shapes[n]["type"] == "structure"]
        body: list[str] = []
        for name in sorted(enums):
            known = [*self.shapes[name]["enum"], *MORE_VALUES.get(name, [])]
            values = ", ".join(f'"{value}"' for value in known)
            body.append(f"{name} = Literal[{values}]")
        for name in sorted(structs):
            body += ["", "", *self.struct(name)]
        text = "\n".join(body) + "\n"
        names = [n for n in ("Annotated", "Literal") if re.search(rf"\b{n}\[", text)]
        imports = ["from __future__ import annotations", ""]
        if names:
            imports += [f"from typing import {', '.join(names)}", ""]
        extras = [n for n in ("Meta", "field") if re.search(rf"\b{n}\(", text)]
        if extras:
            imports += [f"from msgspec import {', '.join(extras)}", ""]
        bases = [n for n in ("Shape", "Timestamp") if re.search(rf"\b{n}\b", text)]
        imports += [f"from openecs.shapes.base import {', '.join(bases)}", ""]
        return HEADER.format(version=botocore.__version__) + "\n".join(imports) + "\n" + text

    def operations_module(self, module: str) -> str:
        """The text of ``wire/generated/<service>.py``."""
        meta = self.model["metadata"]
        lines = [
            "from __future__ import annotations",
            "",
            f"from openecs.shapes import {module} as shapes",
            f"from openecs.wire.operation import {'Bindings, ' if self.rest else ''}Operation, ServiceModel",
            *(["from openecs.wire.xml_names import Names"] if "ec2" in self.protocols else []),
            "",
            "SERVICE = ServiceModel(",
            f'    name="{module}",',
            f"    api_version={meta['apiVersion']!r},",
            f"    protocols={tuple(self.protocols)!r},",
            f"    signing_name={meta.get('signingName', meta['endpointPrefix'])!r},",
            f"    target_prefix={meta.get('targetPrefix')!r},",
            f"    json_version={meta.get('jsonVersion')!r},",
            f"    xml_namespace={meta.get('xmlNamespace')!r},",
            "    all_operations=frozenset({",
            *(f'        "{name}",' for name in self.operations),
            "    }),",
            "    operations={",
        ]
        for name in self.served:
            operation = self.model["operations"][name]
            roles = [
                f"shapes.{operation[role]['shape']}" if role in operation else "None" for role in ("input", "output")
            ]
            wrapper = operation.get("output", {}).get("resultWrapper")
            errors = tuple(ref["shape"] for ref in operation.get("errors", ()))
            http = operation["http"]
            lines.append(
                f'        "{name}": Operation("{module}", "{name}", {roles[0]}, {roles[1]}, '
                f"{errors!r}, {http['method']!r}, {http['requestUri']!r}, {wrapper!r}{self._bindings(operation)}),"
            )
        lines += ["    },", "    error_codes={"]
        for name in sorted(self.shapes):
            shape = self.shapes[name]
            if shape.get("exception"):
                error = shape.get("error", {})
                status = error.get("httpStatusCode", 500 if shape.get("fault") else 400)
                lines.append(f'        "{name}": ({error.get("code", name)!r}, {status}),')
        lines.append("    },")
        if "ec2" in self.protocols:
            lines += self._names()
        if "smithy-rpc-v2-cbor" in self.protocols:
            usual, others = self._message_members()
            lines.append(f"    message_member={usual!r},")
            if others:
                lines.append(f"    message_members={others!r},")
        if "awsQueryCompatible" in meta:
            lines.append("    query_compatible=True,")
        lines += [")", ""]
        return HEADER.format(version=botocore.__version__) + "\n".join(lines)

    def _bindings(self, operation: dict[str, Any]) -> str:
        """The last argument of a REST operation: where its members are when not in the body."""
        if not self.rest:
            return ""
        reply = self.shapes[operation["output"]["shape"]] if "output" in operation else {}
        if "payload" in reply or any("location" in ref for ref in reply.get("members", {}).values()):
            raise ValueError("members of replies outside of the body are not written yet")
        request = self.shapes[operation["input"]["shape"]] if "input" in operation else {}
        found: dict[str, dict[str, str]] = {"uri": {}, "querystring": {}, "header": {}}
        for member, ref in request.get("members", {}).items():
            if "location" in ref:
                name = ref.get("locationName", member)
                found[ref["location"]][name.lower() if ref["location"] == "header" else name] = member
        places = (found["uri"], found["querystring"], found["header"], request.get("payload"))
        return f", Bindings{(*places, operation['http'].get('responseCode', 200))!r}"

    def _names(self) -> list[str]:
        """EC2's spelling of members where the rules of ``openecs.wire.xml_names`` give another."""
        elements: dict[str, dict[str, str]] = {}
        items: dict[str, dict[str, str]] = {}
        for structure in self.reached:
            shape = self.shapes[structure]
            for member, ref in shape.get("members", {}).items():
                element = ref.get("locationName", member)
                asked = structure in self.asked and element[:1].upper() + element[1:] != member
                if "queryName" in ref:
                    raise ValueError(f"{structure}.{member}: names of its own in requests are not written yet")
                if asked or (structure in self.answered and element != member[:1].lower() + member[1:]):
                    elements.setdefault(structure, {})[member] = element
                target = self.shapes[ref["shape"]]
                if target["type"] == "list" and structure in self.answered:
                    item = target["member"].get("locationName", "member")
                    if item != "item":
                        items.setdefault(structure, {})[member] = item
        return [
            "    names=Names(",
            "        elements={",
            *(f"            {name!r}: {members!r}," for name, members in sorted(elements.items())),
            "        },",
            "        items={",
            *(f"            {name!r}: {members!r}," for name, members in sorted(items.items())),
            "        },",
            '        usual_item="item",',
            "        small=True,",
            "    ),",
        ]

    def _message_members(self) -> tuple[str, dict[str, str]]:
        """How the service's errors spell the member with their text: most of them, and the others."""
        spelt = {
            name: member
            for name, shape in sorted(self.shapes.items())
            if shape.get("exception")
            for member in shape["members"]
            if member.lower() == "message"
        }
        usual = Counter(spelt.values()).most_common(1)[0][0] if spelt else "message"
        return usual, {name: member for name, member in spelt.items() if member != usual}


def main() -> int:
    """Write or check every generated module; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on drift")
    check = parser.parse_args().check
    stale = []
    for module, (folder, served) in SERVED.items():
        service = Service(load_model(folder), served)
        for path, text in (
            (ROOT / f"src/openecs/shapes/{module}.py", service.shapes_module()),
            (ROOT / f"src/openecs/wire/generated/{module}.py", service.operations_module(module)),
        ):
            if not path.exists() or path.read_text() != text:
                stale.append(path.relative_to(ROOT))
                if not check:
                    path.write_text(text)
    for path in stale:
        print(("differs from the model: " if check else "written: ") + str(path))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
