"""The prefix lists of AWS's own services, which security groups and endpoints name.

The services themselves are not part of OpenECS, so the lists are there by name and id and have
no addresses: what names them matches nothing.
"""

from __future__ import annotations

import hashlib

from openecs.api.ec2.describe import Describer
from openecs.api.ec2.filters import Fields, matching, one
from openecs.errors import AWSError
from openecs.shapes import ec2
from openecs.wire.call import Call, Handlers

#: The services that have gateway endpoints.
SERVICES = ("dynamodb", "s3")


def prefix_list_id(region: str, service_name: str) -> str:
    """The id of the list of a service: the same in every installation."""
    digest = hashlib.sha256(f"{region}/{service_name}".encode()).hexdigest()
    return f"pl-{digest[:8]}"


def prefix_lists(region: str) -> dict[str, str]:
    """Id → name of the region's lists."""
    names = [f"com.amazonaws.{region}.{service}" for service in SERVICES]
    return {prefix_list_id(region, name): name for name in names}


class PrefixLists:
    """DescribePrefixLists and DescribeManagedPrefixLists."""

    def __init__(self, describer: Describer) -> None:
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "DescribePrefixLists": self.describe_prefix_lists,
            "DescribeManagedPrefixLists": self.describe_managed_prefix_lists,
        }

    def describe_prefix_lists(
        self, call: Call, request: ec2.DescribePrefixListsRequest
    ) -> ec2.DescribePrefixListsResult:
        """The lists of the region, without addresses."""
        page, token = self._page(call, request)
        lists = tuple(ec2.PrefixList(prefix_list_id=at, prefix_list_name=name, cidrs=()) for at, name in page)
        return ec2.DescribePrefixListsResult(prefix_lists=lists, next_token=token)

    def describe_managed_prefix_lists(
        self, call: Call, request: ec2.DescribeManagedPrefixListsRequest
    ) -> ec2.DescribeManagedPrefixListsResult:
        """The same lists as resources of their owner, who is AWS."""
        page, token = self._page(call, request)
        lists = tuple(
            ec2.ManagedPrefixList(
                prefix_list_id=at,
                address_family="IPv4",
                prefix_list_arn=f"arn:aws:ec2:{call.region}:aws:prefix-list/{at}",
                prefix_list_name=name,
                owner_id="AWS",
                tags=(),
            )
            for at, name in page
        )
        return ec2.DescribeManagedPrefixListsResult(prefix_lists=lists, next_token=token)

    def _page(
        self, call: Call, request: ec2.DescribePrefixListsRequest | ec2.DescribeManagedPrefixListsRequest
    ) -> tuple[list[tuple[str, str]], str | None]:
        known = prefix_lists(call.region)
        for wanted in request.prefix_list_ids or ():
            if wanted not in known:
                message = f"The prefix list ID '{wanted[:256]}' does not exist"
                raise AWSError("InvalidPrefixListID.NotFound", message)
        chosen = [pair for pair in known.items() if not request.prefix_list_ids or pair[0] in request.prefix_list_ids]
        fields: Fields[tuple[str, str]] = {
            "prefix-list-id": lambda pair: one(pair[0]),
            "prefix-list-name": lambda pair: one(pair[1]),
            "owner-id": lambda _: one("AWS"),
        }
        page, token = self._describer.page(
            call,
            matching(chosen, request.filters, fields, lambda _: ()),
            key=lambda pair: pair[0],
            scope=(request.prefix_list_ids, request.filters),
            max_results=request.max_results,
            next_token=request.next_token,
        )
        return list(page), token
