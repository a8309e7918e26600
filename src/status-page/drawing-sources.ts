import { readFileSync } from 'node:fs'

/** The drawing code of the status page as text, for a page that holds all that it needs: a module of JavaScript, and CSS. */
export function drawingSources(): { readonly script: string; readonly style: string } {
  return { script: textOf('drawing.js'), style: textOf('drawing.css') }
}

function textOf(name: string): string {
  return readFileSync(new URL(`./assets/${name}`, import.meta.url), 'utf8')
}
