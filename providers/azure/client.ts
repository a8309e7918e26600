import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createHttpHeaders,
  createPipelineFromOptions,
  createPipelineRequest,
} from '@azure/core-rest-pipeline'
import type {
  BearerTokenAuthenticationPolicyOptions,
  HttpClient,
  HttpMethods,
  PipelinePolicy,
  PipelineResponse,
} from '@azure/core-rest-pipeline'

/** Whoever gives tokens: what `@azure/identity` offers. */
export type AzureCredential = NonNullable<BearerTokenAuthenticationPolicyOptions['credential']>

/** One request to Resource Manager. */
export interface ARMRequest {
  readonly method: 'GET' | 'PUT'
  /** Absolute, query included. */
  readonly url: string
  /** JSON text. */
  readonly body?: string
  readonly ifMatch?: string
  readonly signal: AbortSignal
}

/** An answer, whatever its status. */
export interface ARMResponse {
  readonly status: number
  /** Header by name, any letter case; undefined when absent. */
  header(name: string): string | undefined
  /** Text of the body, empty when there is none. */
  readonly body: string
}

/** The wire to Resource Manager. Sends each request once; redirects are followed. */
export interface ARMClient {
  /** Base URL, without a slash at the end. */
  readonly endpoint: string
  /** Base URL of the cloud itself, where the endpoint is another way to it: links in answers lead there. */
  readonly audience?: string
  /** @throws what the transport throws when there is no answer; the credential's error when there is no token */
  send(request: ARMRequest): Promise<ARMResponse>
}

export interface ARMClientOptions {
  /** Base URL of Resource Manager, e.g. `https://management.azure.com`. Plain HTTP on loopback only. */
  readonly endpoint: string
  readonly credential: AzureCredential
  /** Whom tokens are for: the cloud's own base URL where the endpoint is a way to it, such as a proxy. Absent: the endpoint. */
  readonly audience?: string
  /** Answers in process; absent: over HTTP, with the proxy that the environment names. */
  readonly httpClient?: HttpClient
  /** In front of the SDK's own user agent, e.g. `berth/1.0.0`. */
  readonly userAgent?: string
}

/** Longest wait for an answer (ms), as for EC2: a full page of a long list takes seconds. */
const REQUEST_TIMEOUT_MS = 60_000

/**
 * The pipeline of Azure's SDK as the provider needs it: bodies as raw JSON, as the models of its clients drop what they do not
 * know; one attempt a call, as repeating is decided where the effect is known.
 *
 * @throws TypeError for an endpoint that is neither https nor on loopback: a token must not travel in the clear
 */
export function createARMClient(options: ARMClientOptions): ARMClient {
  const endpoint = withoutSlash(options.endpoint)
  const isPlain = isPlainLoopback(endpoint)
  const audience = withoutSlash(options.audience ?? endpoint)
  const scopes = [`${audience}/.default`]
  const pipeline = createPipelineFromOptions({
    ...(options.userAgent !== undefined && { userAgentOptions: { userAgentPrefix: options.userAgent } }),
  })
  pipeline.removePolicy({ name: 'defaultRetryPolicy' })
  pipeline.addPolicy(
    isPlain
      ? plainTokenPolicy(options.credential, scopes)
      : bearerTokenAuthenticationPolicy({ credential: options.credential, scopes }),
    { phase: 'Sign' },
  )
  const httpClient = options.httpClient ?? createDefaultHttpClient()
  return {
    endpoint,
    audience,
    async send({ method, url, body, ifMatch, signal }) {
      const request = createPipelineRequest({
        url,
        method: method satisfies HttpMethods,
        headers: createHttpHeaders({
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
          ...(ifMatch !== undefined && { 'if-match': ifMatch }),
        }),
        ...(body !== undefined && { body }),
        abortSignal: signal,
        timeout: REQUEST_TIMEOUT_MS,
        allowInsecureConnection: isPlain,
      })
      return answerOf(await pipeline.sendRequest(httpClient, request))
    },
  }
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '')
}

function answerOf({ status, headers, bodyAsText }: PipelineResponse): ARMResponse {
  return { status, header: (name) => headers.get(name), body: bodyAsText ?? '' }
}

function isPlainLoopback(endpoint: string): boolean {
  const { protocol, hostname } = new URL(endpoint)
  if (protocol === 'https:') return false
  if (protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) return true
  throw new TypeError(`${endpoint} is neither https nor a plain HTTP address of this machine`)
}

/** The SDK's own policy insists on TLS; a simulator on loopback has none. */
function plainTokenPolicy(credential: AzureCredential, scopes: string[]): PipelinePolicy {
  return {
    name: 'plainTokenPolicy',
    async sendRequest(request, next) {
      const token = await credential.getToken(scopes, {
        ...(request.abortSignal !== undefined && { abortSignal: request.abortSignal }),
      })
      if (token !== null) request.headers.set('authorization', `Bearer ${token.token}`)
      return next(request)
    },
  }
}
