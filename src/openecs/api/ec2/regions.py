"""Regions, availability zones and attributes of the account.

Every region name is served, each with a state of its own; those listed are AWS's that need no
opting in, and the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from openecs.api.ec2.errors import invalid_value
from openecs.api.ec2.filters import Fields, matching, one
from openecs.api.ec2.resources import zone_id
from openecs.control.region_networks import RegionNetworks
from openecs.model.network import ZONES
from openecs.shapes import ec2
from openecs.wire.call import Call, Handlers

REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
)
NO_OPT_IN: ec2.AvailabilityZoneOptInStatus = "opt-in-not-required"

_REGION_FIELDS: Fields[ec2.Region] = {
    "endpoint": lambda r: one(r.endpoint),
    "opt-in-status": lambda r: one(r.opt_in_status),
    "region-name": lambda r: one(r.region_name),
}
_ZONE_FIELDS: Fields[ec2.AvailabilityZone] = {
    "group-long-name": lambda _: (),
    "group-name": lambda z: one(z.group_name),
    "message": lambda _: (),
    "opt-in-status": lambda z: one(z.opt_in_status),
    "parent-zone-id": lambda _: (),
    "parent-zone-name": lambda _: (),
    "region-name": lambda z: one(z.region_name),
    "state": lambda z: one(z.state),
    "zone-id": lambda z: one(z.zone_id),
    "zone-name": lambda z: one(z.zone_name),
    "zone-type": lambda z: one(z.zone_type),
}


class Regions:
    """DescribeRegions, DescribeAvailabilityZones and DescribeAccountAttributes."""

    def __init__(self, networks: RegionNetworks) -> None:
        self._networks = networks

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "DescribeRegions": self.describe_regions,
            "DescribeAvailabilityZones": self.describe_zones,
            "DescribeAccountAttributes": self.describe_account_attributes,
        }

    def describe_regions(self, call: Call, request: ec2.DescribeRegionsRequest) -> ec2.DescribeRegionsResult:
        """The regions; each is reached at the caller's own endpoint."""
        endpoint = urlsplit(call.endpoint).netloc
        names = sorted({*REGIONS, call.region})
        _check(request.region_names, names, "region names")
        regions = [
            ec2.Region(region_name=name, endpoint=endpoint, opt_in_status=NO_OPT_IN)
            for name in names
            if not request.region_names or name in request.region_names
        ]
        found = matching(regions, request.filters, _REGION_FIELDS, lambda _: ())
        return ec2.DescribeRegionsResult(regions=tuple(found))

    def describe_zones(
        self, call: Call, request: ec2.DescribeAvailabilityZonesRequest
    ) -> ec2.DescribeAvailabilityZonesResult:
        """The three zones of the region."""
        zones = [_zone(call.region, letter) for letter in ZONES]
        _check(request.zone_names, [zone.zone_name or "" for zone in zones], "availability zones")
        _check(request.zone_ids, [zone.zone_id or "" for zone in zones], "availability zone ids")
        chosen = [
            zone
            for zone in zones
            if (not request.zone_names or zone.zone_name in request.zone_names)
            and (not request.zone_ids or zone.zone_id in request.zone_ids)
        ]
        found = matching(chosen, request.filters, _ZONE_FIELDS, lambda _: ())
        return ec2.DescribeAvailabilityZonesResult(availability_zones=tuple(found))

    def describe_account_attributes(
        self, call: Call, request: ec2.DescribeAccountAttributesRequest
    ) -> ec2.DescribeAccountAttributesResult:
        """The platform, which is always VPC, and the default VPC."""
        default = self._networks.default_vpc(call.region)
        values = {"default-vpc": default.id if default is not None else "none", "supported-platforms": "VPC"}
        attributes = tuple(
            ec2.AccountAttribute(
                attribute_name=name, attribute_values=(ec2.AccountAttributeValue(attribute_value=value),)
            )
            for name, value in values.items()
            if not request.attribute_names or name in request.attribute_names
        )
        return ec2.DescribeAccountAttributesResult(account_attributes=attributes)


def _zone(region: str, letter: str) -> ec2.AvailabilityZone:
    name = region + letter
    return ec2.AvailabilityZone(
        opt_in_status=NO_OPT_IN,
        messages=(),
        region_name=region,
        zone_name=name,
        zone_id=zone_id(region, name),
        group_name=region,
        network_border_group=region,
        zone_type="availability-zone",
        state="available",
    )


def _check(wanted: Iterable[str] | None, known: Iterable[str], what: str) -> None:
    strangers = sorted(set(wanted or ()) - set(known))
    if strangers:
        raise invalid_value(f"Invalid {what}: [{', '.join(strangers)[:512]}]")
