// The services of networks through the AWS SDK for JavaScript v3: `node networks.mjs JOURNEY NAME`.
//
// EC2 and load balancing speak XML, Cloud Map what the SDK chooses.  What was seen is printed as
// JSON; test_js_sdk.py judges it.
import {
  CreateVpcCommand,
  DeleteVpcCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
  waitUntilVpcAvailable,
} from "@aws-sdk/client-ec2";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  ElasticLoadBalancingV2Client,
  LoadBalancerNotFoundException,
  paginateDescribeTargetGroups,
  waitUntilLoadBalancerExists,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  CreateHttpNamespaceCommand,
  CreateServiceCommand,
  DiscoverInstancesCommand,
  GetOperationCommand,
  NamespaceNotFound,
  RegisterInstanceCommand,
  ServiceDiscoveryClient,
} from "@aws-sdk/client-servicediscovery";
import { SmithyRpcV2CborProtocol } from "@smithy/core/cbor";

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return null;
}

const journeys = {
  async ec2(block) {
    const client = new EC2Client({ maxAttempts: 1 });
    const TagSpecifications = [{ ResourceType: "vpc", Tags: [{ Key: "Name", Value: "a & b <é>" }] }];
    const { Vpc } = await client.send(new CreateVpcCommand({ CidrBlock: `${block}.0.0/16`, TagSpecifications }));
    const waited = await waitUntilVpcAvailable({ client, maxWaitTime: 10, minDelay: 1 }, { VpcIds: [Vpc.VpcId] });
    const Filters = [{ Name: "tag:Name", Values: ["a & b <é>"] }];
    const found = await client.send(new DescribeVpcsCommand({ Filters }));
    await client.send(new DeleteVpcCommand({ VpcId: Vpc.VpcId }));
    const missing = await failure(client.send(new DescribeVpcsCommand({ VpcIds: [Vpc.VpcId] })));
    const status = missing.$metadata.httpStatusCode;
    return {
      waited: waited.state,
      tags: found.Vpcs.map((vpc) => vpc.Tags[0].Value),
      isDefault: Vpc.IsDefault,
      associations: Vpc.CidrBlockAssociationSet.map((association) => association.CidrBlockState.State),
      missing: { name: missing.name, message: missing.message, requestId: missing.$metadata.requestId, status },
    };
  },

  async elbv2() {
    const client = new ElasticLoadBalancingV2Client({ maxAttempts: 1 });
    const { Subnets } = await new EC2Client({ maxAttempts: 1 }).send(new DescribeSubnetsCommand({}));
    const made = await client.send(
      new CreateLoadBalancerCommand({ Name: "web", Subnets: Subnets.map((subnet) => subnet.SubnetId) }),
    );
    const [{ LoadBalancerArn, CreatedTime }] = made.LoadBalancers;
    await waitUntilLoadBalancerExists({ client, maxWaitTime: 10, minDelay: 1 }, { LoadBalancerArns: [LoadBalancerArn] });
    const group = { Protocol: "HTTP", Port: 80, VpcId: Subnets[0].VpcId, TargetType: "ip" };
    for (const Name of ["a", "b", "c"]) {
      await client.send(new CreateTargetGroupCommand({ ...group, Name }));
    }
    const pages = [];
    for await (const page of paginateDescribeTargetGroups({ client }, { PageSize: 2 })) {
      pages.push(page.TargetGroups.map((each) => each.TargetGroupName));
    }
    const DefaultActions = [
      { Type: "fixed-response", FixedResponseConfig: { StatusCode: "404", ContentType: "text/plain" } },
    ];
    await client.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port: 80, DefaultActions }));
    const listeners = await client.send(new DescribeListenersCommand({ LoadBalancerArn }));
    const missing = await failure(client.send(new DescribeLoadBalancersCommand({ Names: ["nothing"] })));
    return {
      createdAtIsDate: CreatedTime instanceof Date,
      pages,
      response: listeners.Listeners[0].DefaultActions[0].FixedResponseConfig,
      notFound: missing instanceof LoadBalancerNotFoundException,
    };
  },

  async servicediscovery(kind) {
    const chosen = kind === "cbor" ? { protocol: SmithyRpcV2CborProtocol } : {};
    const client = new ServiceDiscoveryClient({ maxAttempts: 1, disableHostPrefix: true, ...chosen });
    const bodies = new Set();
    client.middlewareStack.add((next) => (args) => {
      bodies.add(args.request.headers["content-type"]);
      return next(args);
    }, { step: "finalizeRequest", priority: "low" });
    const { OperationId } = await client.send(new CreateHttpNamespaceCommand({ Name: "shop" }));
    let operation;
    do {
      operation = (await client.send(new GetOperationCommand({ OperationId }))).Operation;
    } while (operation.Status === "SUBMITTED" || operation.Status === "PENDING");
    const NamespaceId = operation.Targets.NAMESPACE;
    const { Service } = await client.send(new CreateServiceCommand({ Name: "cart", NamespaceId }));
    const Attributes = { AWS_INSTANCE_IPV4: "10.0.0.7", version: "1 a" };
    await client.send(new RegisterInstanceCommand({ ServiceId: Service.Id, InstanceId: "i-1", Attributes }));
    const seen = { NamespaceName: "shop", ServiceName: "cart" };
    let found;
    do {
      found = (await client.send(new DiscoverInstancesCommand(seen))).Instances;
    } while (found.length === 0);
    const missing = await failure(client.send(new DiscoverInstancesCommand({ ...seen, NamespaceName: "none" })));
    return {
      bodies: [...bodies],
      createdAtIsDate: operation.CreateDate instanceof Date,
      attributes: found[0].Attributes,
      notFound: missing instanceof NamespaceNotFound,
    };
  },
};

const [journey, name] = process.argv.slice(2);
console.log(JSON.stringify(await journeys[journey](name)));
