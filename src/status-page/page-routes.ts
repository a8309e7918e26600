import { readFileSync } from 'node:fs'
import type { Route, RouteAnswer } from '../telemetry/server.ts'
import type { StatusFeed } from './status-feed.ts'

/** The files of the page, as they lie in `assets`, and their types. Nothing else is served from the disk. */
const ASSETS: ReadonlyMap<string, string> = new Map([
  ['index.html', 'text/html; charset=utf-8'],
  ['style.css', 'text/css; charset=utf-8'],
  ['app.js', 'text/javascript; charset=utf-8'],
  ['fleet-model.js', 'text/javascript; charset=utf-8'],
  ['heat-map.js', 'text/javascript; charset=utf-8'],
  ['drawing.js', 'text/javascript; charset=utf-8'],
  ['drawing.css', 'text/css; charset=utf-8'],
])
const ASSETS_PATH = '/assets/'
/** The page asks nobody but this port, is framed by nobody, and runs nothing that was not served. */
const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** The status page at `/`, its files, and what keeps it up to date at `/v1/stream`. */
export function pageRoutes(feed: StatusFeed): readonly Route[] {
  const files = new Map<string, string>()
  const serve = (name: string): RouteAnswer => {
    const contentType = ASSETS.get(name)
    if (contentType === undefined)
      return { status: 404, contentType: 'text/plain; charset=utf-8', body: 'no such file' }
    const body = files.get(name) ?? readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8')
    files.set(name, body)
    return { status: 200, contentType, headers: HEADERS, body }
  }
  return [
    { path: '/', help: 'the status page', answer: () => serve('index.html') },
    {
      path: `${ASSETS_PATH}*`,
      help: 'files of the status page',
      answer: ({ path }) => serve(path.slice(ASSETS_PATH.length)),
    },
    {
      path: '/v1/stream',
      help: 'what happens in the fleet, as server-sent events',
      answer: ({ signal }) =>
        feed.isFull
          ? { status: 503, contentType: 'text/plain; charset=utf-8', body: 'too many watch already' }
          : {
              status: 200,
              contentType: 'text/event-stream; charset=utf-8',
              headers: { 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
              body: feed.watch(signal),
            },
    },
  ]
}
