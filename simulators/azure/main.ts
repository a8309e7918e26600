import { runSimulator } from '../kit/process.ts'
import { DEFAULT_SETTINGS } from './cloud/settings.ts'
import { createAzureSimulator, DOCUMENTED_THROTTLE, parseDenied, parseLatency } from './index.ts'

const USAGE = `Azure Resource Manager simulator

  --host HOST            where to listen (127.0.0.1)
  --port PORT            0 takes a free one (4567)
  --location REGION      (westeurope)
  --subscription ID      (00000000-0000-0000-0000-0000000000aa)
  --resource-group NAME  of the machines (MC_berth_berth_westeurope)
  --throttle NAME|FILE   documented, none, or a throttle file (documented)
  --neighbour SHARE      part of every bucket's refill that somebody else uses, such as 0.3 (0)
  --latency HOW          usual, none, milliseconds, or a range such as 80-300 (usual)
  --faults FILE          a fault file
  --world NAME|FILE      default, empty, or a world file (default)
  --denied CLIENT=KIND,...  clients to refuse: InvalidAuthenticationToken or AuthorizationFailed
  --seed N               identifiers, choices and durations follow from it (1)
  --help
`

await runSimulator({
  name: 'azure-simulator',
  usage: USAGE,
  defaultPort: 4567,
  documentedThrottle: DOCUMENTED_THROTTLE,
  options: {
    location: DEFAULT_SETTINGS.location,
    subscription: DEFAULT_SETTINGS.subscriptionID,
    'resource-group': DEFAULT_SETTINGS.resourceGroup,
  },
  create: (shared, own) =>
    createAzureSimulator({
      ...shared,
      settings: {
        location: own.text('location'),
        subscriptionID: own.text('subscription'),
        resourceGroup: own.text('resource-group'),
      },
      latency: parseLatency(shared.latency),
      denied: parseDenied(shared.denied),
    }),
  describe: (url, own) =>
    `Azure Resource Manager simulator on ${url}\n\nexport AZURE_RESOURCE_MANAGER_ENDPOINT=${url}\n` +
    `export AZURE_POD_IDENTITY_AUTHORITY_HOST=${url}\nexport AZURE_SUBSCRIPTION_ID=${own.text('subscription')}\n`,
})
