import { runSimulator } from '../kit/process.ts'
import {
  createEC2Simulator,
  DOCUMENTED_THROTTLE,
  parseDenied,
  parseLatency,
  parseSettings,
  USUAL_CLOCK_SKEW_MS,
} from './index.ts'

const USAGE = `EC2 simulator

  --host HOST            where to listen (127.0.0.1)
  --port PORT            0 takes a free one (4566)
  --region REGION        (us-east-1)
  --throttle NAME|FILE   documented, none, or a throttle file (documented)
  --neighbour SHARE      part of every bucket's refill that somebody else uses, such as 0.3 (0)
  --latency HOW          usual, none, milliseconds, or a range such as 80-300 (usual)
  --faults FILE          a fault file
  --world NAME|FILE      default, empty, or a world file (default)
  --settings FILE        quotas, delays, eventual consistency and choices (simulators/aws/cloud/settings.ts)
  --denied KEY=KIND,...  access keys to refuse: AuthFailure or UnauthorizedOperation
  --interface-quota N    network interfaces of the account (5000)
  --seed N               identifiers, choices and delays follow from it (1)
  --help
`

await runSimulator({
  name: 'ec2-simulator',
  usage: USAGE,
  defaultPort: 4566,
  documentedThrottle: DOCUMENTED_THROTTLE,
  options: { region: 'us-east-1', settings: undefined, 'interface-quota': undefined },
  async create(shared, own) {
    const given = parseSettings((await own.file('settings')) ?? {})
    const region = own.text('region')
    const quota = own.text('interface-quota') === '' ? {} : { interfaces: own.integer('interface-quota', 1) }
    return createEC2Simulator({
      ...shared,
      // Real clients sign with real time.
      settings: { maxClockSkewMs: USUAL_CLOCK_SKEW_MS, ...given, region, quotas: { ...given.quotas, ...quota } },
      latency: parseLatency(shared.latency),
      denied: parseDenied(shared.denied),
    })
  },
  describe: (url, own) =>
    `EC2 simulator on ${url}\n\nexport AWS_ENDPOINT_URL_EC2=${url}\n` +
    `export AWS_REGION=${own.text('region')} AWS_DEFAULT_REGION=${own.text('region')}\n` +
    `export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test\n`,
})
