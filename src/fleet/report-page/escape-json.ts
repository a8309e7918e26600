/** For a script element: nothing in it can end the element. */
export function escapeJSON(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}
