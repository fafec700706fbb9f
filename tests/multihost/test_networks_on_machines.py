"""Tasks of one subnet on two machines: security groups let each other in, and nobody else."""

from __future__ import annotations

from typing import Any

from multihost_site import STAY, Site


def network(subnet: str, *groups: str) -> dict[str, Any]:
    return {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": list(groups)}}


def test_groups_hold_between_tasks_of_one_subnet_on_two_machines(site: Site) -> None:
    ec2: Any = site.installation.client("ec2")
    subnet = site.installation.subnet()
    vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
    web, stranger, app = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("machines-web", "machines-stranger", "machines-app")
    )
    from_web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": web}]}
    ec2.authorize_security_group_ingress(GroupId=app, IpPermissions=[from_web])
    server = site.start(
        "two",
        site.register("httpd -p 80 -h /www; " + STAY, networkMode="awsvpc"),
        networkConfiguration=network(subnet, app),
    )
    (eni,) = site.reaches(server, "RUNNING")["attachments"]
    address = next(d["value"] for d in eni["details"] if d["name"] == "privateIPv4Address")

    def fetched_by(group: str, machine: str) -> int:
        """How the client's container ended: 0 when it got the page, 3 when it never did."""
        script = f"for i in 1 2; do timeout 1 wget -q -O - http://{address}/ && exit 0; done; exit 3"
        definition = site.register(script, networkMode="awsvpc")
        arn = site.start(machine, definition, networkConfiguration=network(subnet, group))
        code: int = site.reaches(arn, "STOPPED")["containers"][0]["exitCode"]
        return code

    assert fetched_by(web, "one") == 0
    assert fetched_by(web, "two") == 0
    assert fetched_by(stranger, "one") == 3
    # A rule counts for tasks that run already, on the other machine too.
    ec2.revoke_security_group_ingress(GroupId=app, IpPermissions=[from_web])
    from_stranger = from_web | {"UserIdGroupPairs": [{"GroupId": stranger}]}
    ec2.authorize_security_group_ingress(GroupId=app, IpPermissions=[from_stranger])
    assert fetched_by(stranger, "one") == 0
    assert fetched_by(web, "two") == 3
    # The machines themselves reach every task.
    for machine in site.machines.values():
        assert machine.run("busybox", "timeout", "3", "busybox", "wget", "-q", "-O", "-", f"http://{address}/")
    site.stop(server)
    for group in (app, web, stranger):
        ec2.delete_security_group(GroupId=group)
