/** 32 bits of whatever a user's function gave: equal results, equal numbers. What cannot be written as JSON counts by its type. */
export function hashOfResult(value: unknown): number {
  const text = textOf(value)
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `${typeof value} ${String(value)}`
  const copy = (value as { copy?: unknown }).copy
  try {
    return JSON.stringify(typeof copy === 'function' ? (copy.call(value) as unknown) : value, (_name, part: unknown) =>
      typeof part === 'bigint' || typeof part === 'number' ? `${typeof part} ${String(part)}` : part,
    )
  } catch {
    return 'object'
  }
}
