// What programs do with the AWS SDK for JavaScript v3: `node journey.mjs JOURNEY NAME`.
//
// Endpoint, region and keys come from the environment, as `openecs env` prints them.  What was
// seen is printed as JSON; test_js_sdk.py judges it.
import {
  ClusterNotFoundException,
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ECSServiceException,
  ExecuteCommandCommand,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  StopTaskCommand,
  UpdateServiceCommand,
  paginateListClusters,
  paginateListServices,
  paginateListTaskDefinitions,
  waitUntilServicesInactive,
  waitUntilServicesStable,
  waitUntilTasksRunning,
  waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";

const client = new ECSClient({ maxAttempts: 1 });
const patience = { client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

async function register(family) {
  const containerDefinitions = [{ name: "main", image: "busybox", memory: 16 }];
  const reply = await client.send(new RegisterTaskDefinitionCommand({ family, containerDefinitions }));
  return reply.taskDefinition;
}

async function all(pages, member) {
  const seen = [];
  for await (const page of pages) {
    seen.push(page[member] ?? []);
  }
  return seen;
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return {
      name: error.name,
      message: error.message,
      fault: error.$fault,
      status: error.$metadata?.httpStatusCode,
      requestId: error.$metadata?.requestId,
      ofService: error instanceof ECSServiceException,
      clusterNotFound: error instanceof ClusterNotFoundException,
    };
  }
  return null;
}

const journeys = {
  async pages(name) {
    for (let number = 0; number < 5; number += 1) {
      await client.send(new CreateClusterCommand({ clusterName: `${name}-${number}` }));
      await register(name);
    }
    const service = { cluster: `${name}-0`, taskDefinition: name, desiredCount: 0 };
    for (let number = 0; number < 3; number += 1) {
      await client.send(new CreateServiceCommand({ ...service, serviceName: `s${number}` }));
    }
    const two = { client, pageSize: 2 };
    return {
      clusters: await all(paginateListClusters(two, {}), "clusterArns"),
      definitions: await all(paginateListTaskDefinitions(two, { familyPrefix: name }), "taskDefinitionArns"),
      services: await all(paginateListServices(two, { cluster: `${name}-0` }), "serviceArns"),
    };
  },

  async task(name) {
    const definition = await register(name);
    const started = await client.send(new RunTaskCommand({ taskDefinition: name }));
    const tasks = started.tasks.map((task) => task.taskArn);
    const running = await waitUntilTasksRunning(patience, { tasks });
    await client.send(new StopTaskCommand({ task: tasks[0], reason: "enough" }));
    const stopped = await waitUntilTasksStopped(patience, { tasks });
    const described = await client.send(new DescribeTasksCommand({ tasks }));
    const again = await failure(waitUntilTasksRunning(patience, { tasks }));
    const [task] = described.tasks;
    return {
      registeredAtIsDate: definition.registeredAt instanceof Date,
      stoppedAtIsDate: task.stoppedAt instanceof Date,
      running: running.state,
      stopped: stopped.state,
      reason: task.stoppedReason,
      again,
    };
  },

  async service(name) {
    await register(name);
    const services = [name];
    await client.send(new CreateServiceCommand({ serviceName: name, taskDefinition: name, desiredCount: 2 }));
    const stable = await waitUntilServicesStable(patience, { services });
    const before = await client.send(new ListTasksCommand({ serviceName: name }));
    await client.send(new UpdateServiceCommand({ service: name, forceNewDeployment: true, desiredCount: 1 }));
    const again = await waitUntilServicesStable(patience, { services });
    const after = await client.send(new ListTasksCommand({ serviceName: name }));
    await client.send(new DeleteServiceCommand({ service: name, force: true }));
    const inactive = await waitUntilServicesInactive(patience, { services });
    const described = await client.send(new DescribeServicesCommand({ services }));
    return {
      states: [stable.state, again.state, inactive.state],
      before: before.taskArns,
      after: after.taskArns,
      status: described.services[0].status,
      missing: await failure(waitUntilServicesStable(patience, { services: ["nothing"] })),
    };
  },

  async errors(name) {
    const wrong = new ECSClient({
      maxAttempts: 1,
      credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "wrong" },
    });
    return {
      cluster: await failure(client.send(new ListTasksCommand({ cluster: name }))),
      notBuilt: await failure(client.send(new ExecuteCommandCommand({ task: name, command: "sh", interactive: true }))),
      signature: await failure(wrong.send(new CreateClusterCommand({ clusterName: name }))),
    };
  },
};

const [journey, name] = process.argv.slice(2);
console.log(JSON.stringify(await journeys[journey](name)));
