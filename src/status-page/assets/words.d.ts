export function duration(seconds: number | null): string
export function count(value: number | null): string
export function rate(rate: number): string
export function clockTime(atMs: number): string
