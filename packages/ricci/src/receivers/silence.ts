/** Keeps secrets out of what is told of a request: receivers send back what they were sent, and errors name what failed. */
import type { SendResult, Transport } from '@ricci/replica'
import { Secret } from '../config/secret.ts'

/** Shorter pieces stand in any text by chance. */
const leastCharacters = 6

/** Puts `(secret)` into a text in place of each of the secrets and of what it is sent as. */
export function hiding(secrets: readonly Secret[]): (text: string) => string {
  const hidden = [...new Set(secrets.flatMap((secret) => formsOf(secret.reveal())))]
    .filter((form) => form.length >= leastCharacters)
    .sort((a, b) => b.length - a.length)
  return (text) => withoutThese(text, hidden)
}

/** All secrets among settings. */
export function secretsIn(value: unknown): Secret[] {
  if (value instanceof Secret) return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(secretsIn) : []
}

/** The transport, telling nothing of the secrets. */
export function silently(transport: Transport, secrets: readonly Secret[]): Transport {
  const hide = hiding(secrets)
  const told = (result: SendResult): SendResult =>
    result.detail === undefined ? result : { ...result, detail: hide(result.detail) }
  return {
    async send(request, mayStart, signal) {
      try {
        return told(await transport.send(request, mayStart, signal))
      } catch (error) {
        // a defect of the receiver's; what became of its request nobody knows
        return told({ kind: 'unknown', detail: error instanceof Error ? error.message : String(error) })
      }
    },
  }
}

/** A secret and what of it, or made from it, may come back. */
function formsOf(value: string): string[] {
  // of `Bearer TOKEN` the token alone, of an address its path
  const parts = [value, ...value.split(/[\s,;=]+/)]
  if (URL.canParse(value)) {
    const { pathname, search } = new URL(value)
    parts.push(pathname + search, pathname, ...pathname.split('/'), ...search.slice(1).split('&'))
  }
  return parts.flatMap((part) => [
    part,
    part.replaceAll(/\s+/g, ' '),
    encodeURIComponent(part),
    JSON.stringify(part).slice(1, -1),
    Buffer.from(part).toString('base64'),
    Buffer.from(part).toString('base64url'),
  ])
}

/** What is told was cut somewhere: at its end a secret's beginning is hidden, too. */
function withoutThese(text: string, hidden: readonly string[]): string {
  let shown = text
  for (const form of hidden) shown = shown.replaceAll(form, '(secret)')
  for (const form of hidden) {
    for (let length = form.length - 1; length >= leastCharacters; length--) {
      if (!shown.endsWith(form.slice(0, length))) continue
      shown = `${shown.slice(0, -length)}(secret)`
      break
    }
  }
  return shown
}
