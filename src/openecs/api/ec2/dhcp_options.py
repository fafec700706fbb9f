"""DHCP options: the one set that every VPC of a region has.  No other can be made.

It says what the hosts do anyway: names are looked up at the VPC's own resolver.
"""

from __future__ import annotations

from openecs.api.ec2.describe import Describer
from openecs.api.ec2.filters import Fields, matching, one
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.shapes import ec2
from openecs.wire.call import Call, Handlers


class DhcpOptionSets:
    """DescribeDhcpOptions."""

    def __init__(self, describer: Describer, networks: RegionNetworks) -> None:
        self._describer = describer
        self._networks = networks

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"DescribeDhcpOptions": self.describe}

    def describe(self, call: Call, request: ec2.DescribeDhcpOptionsRequest) -> ec2.DescribeDhcpOptionsResult:
        """The region's one set."""
        options = self._options(call)
        for wanted in request.dhcp_options_ids or ():
            if wanted not in (options.dhcp_options_id, "default"):
                message = f"The dhcpOption ID '{wanted[:256]}' does not exist"
                raise AWSError("InvalidDhcpOptionID.NotFound", message)
        page, token = self._describer.page(
            call,
            matching([options], request.filters, _FIELDS, lambda _: ()),
            key=lambda each: each.dhcp_options_id,
            scope=(request.dhcp_options_ids, request.filters),
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return ec2.DescribeDhcpOptionsResult(dhcp_options=tuple(page), next_token=token)

    def _options(self, call: Call) -> ec2.DhcpOptions:
        domain = "ec2.internal" if call.region == "us-east-1" else f"{call.region}.compute.internal"
        configurations = {"domain-name": domain, "domain-name-servers": "AmazonProvidedDNS"}
        return ec2.DhcpOptions(
            owner_id=call.account,
            dhcp_options_id=self._networks.plan(call.region).dhcp_options_id,
            dhcp_configurations=tuple(
                ec2.DhcpConfiguration(key=key, values=(ec2.AttributeValue(value=value),))
                for key, value in configurations.items()
            ),
            tags=(),
        )


_FIELDS: Fields[ec2.DhcpOptions] = {
    "dhcp-options-id": lambda o: one(o.dhcp_options_id),
    "key": lambda o: [each.key for each in o.dhcp_configurations or ()],
    "value": lambda o: [value.value for each in o.dhcp_configurations or () for value in each.values or ()],
    "owner-id": lambda o: one(o.owner_id),
}
