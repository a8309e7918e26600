import { makeAzureWorld } from './azure-world.ts'
import { describeProviderContract, type ContractExceptions } from './provider.contract.ts'

const EXCEPTIONS: ContractExceptions = {
  createsNoInterfaces: 'interfaces come with the scale set, or while the machine is stopped',
  resolvesLostWrites: 'a document is read before every write, and new configurations have names of their own',
  takesWhatIsLeft: 'a refusal may take half a minute to come: the next try is made in the same step',
  countsOwnAddress: 'as in the reference: 256 is the limit of the interface',
}

describeProviderContract('Azure scale-set VM', () => makeAzureWorld({ kind: 'uniform' }), {
  ...EXCEPTIONS,
  readsForWrite: { count: 1, reason: 'the model of the machine knows configurations by name alone' },
})

describeProviderContract('Azure standalone machine', () => makeAzureWorld({ kind: 'standalone' }), {
  ...EXCEPTIONS,
  readsForWrite: {
    count: 2,
    reason: 'the interface is the document that is written; its addresses are final at the end',
  },
})
