import { existsSync } from 'node:fs'

/** A Chromium of this machine, where Debian and others put it; undefined: there is none. */
export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

// What runs in a page is text: its types are those of a browser, ours are not.
/** By how much the page is wider than the window (pixels). */
export const OVERFLOW = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
