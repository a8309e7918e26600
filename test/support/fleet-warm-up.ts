let done: Promise<void> | undefined

/** Whatever the SDK reads of the machine at its first call is read now, once for the process: later on timers are faked. */
export function warmUp(): Promise<void> {
  done ??= warm()
  return done
}

/** One call of an SDK client in real time. */
async function warm(): Promise<void> {
  const { createEC2Client } = await import('../../providers/aws/index.ts')
  const { createEC2Simulator, inProcessHandler } = await import('../../simulators/aws/index.ts')
  const { DescribeVpcsCommand } = await import('@aws-sdk/client-ec2')
  const client = createEC2Client({
    region: 'us-east-1',
    credentials: { accessKeyId: 'warm', secretAccessKey: 'warm' },
    requestHandler: inProcessHandler(createEC2Simulator().router),
  })
  await client.send(new DescribeVpcsCommand({}))
  client.destroy()
}
