"""The default network of every region that tasks are launched into."""

from __future__ import annotations

from openecs.model.network import RegionNetwork, region_network


class RegionNetworks:
    """The default network of every region, made when it is first asked for."""

    def __init__(self, account: str, cidr: str) -> None:
        self._account = account
        self._cidr = cidr
        self._networks: dict[str, RegionNetwork] = {}

    def of(self, region: str) -> RegionNetwork:
        """The default network of a region."""
        network = self._networks.get(region)
        if network is None:
            network = self._networks[region] = region_network(self._account, region, self._cidr)
        return network

    def gateway(self, region: str, subnet_id: str) -> str | None:
        """Address and prefix length of a subnet's gateway, ``None`` for an unknown subnet."""
        subnet = self.of(region).subnet(subnet_id)
        return subnet.gateway if subnet else None
