/** Where a cloud of Microsoft's is reached. */
export interface AzureEnvironment {
  /** Base URL of Resource Manager, without a slash at the end. */
  readonly endpoint: string
  /** Where tokens come from. */
  readonly authorityHost: string
}

/**
 * The clouds by the name that the metadata service gives them (`azEnvironment`).
 *
 * @source Azure documentation, Instance Metadata Service; cilium pkg/azure/api, cloudConfiguration
 */
const ENVIRONMENTS: Readonly<Record<string, AzureEnvironment>> = {
  AzurePublicCloud: {
    endpoint: 'https://management.azure.com',
    authorityHost: 'https://login.microsoftonline.com',
  },
  AzureUSGovernmentCloud: {
    endpoint: 'https://management.usgovcloudapi.net',
    authorityHost: 'https://login.microsoftonline.us',
  },
  AzureChinaCloud: {
    endpoint: 'https://management.chinacloudapi.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
  },
}

/** Names of the known clouds. */
export const AZURE_ENVIRONMENT_NAMES: readonly string[] = Object.keys(ENVIRONMENTS)

/** @param name as the metadata service spells it. @returns undefined for a cloud that is not known: a fault at start */
export function azureEnvironment(name: string): AzureEnvironment | undefined {
  return Object.hasOwn(ENVIRONMENTS, name) ? ENVIRONMENTS[name] : undefined
}
