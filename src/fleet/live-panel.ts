/** Where a panel is drawn: a terminal's stream. */
export interface TerminalStream {
  write(text: string): unknown
  readonly columns?: number
}

const HIDE_CURSOR = '\u001b[?25l'
const SHOW_CURSOR = '\u001b[?25h'
const CLEAR_TO_END_OF_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'

/** Draws lines over the lines drawn before, so that the panel stays where it is. */
export class LivePanel {
  readonly #stream: TerminalStream
  #height = 0

  constructor(stream: TerminalStream) {
    this.#stream = stream
  }

  draw(lines: readonly string[]): void {
    const body = lines.map((line) => `${line}${CLEAR_TO_END_OF_LINE}\n`).join('')
    this.#stream.write(`${this.#toTop()}${HIDE_CURSOR}${body}${CLEAR_BELOW}`)
    this.#height = lines.length
  }

  /** Leaves the last lines standing and gives the cursor back. */
  close(): void {
    this.#stream.write(SHOW_CURSOR)
    this.#height = 0
  }

  #toTop(): string {
    return this.#height === 0 ? '' : `\u001b[${this.#height}A\r`
  }
}
