/** What people did where a page arrived, told back to us: acknowledged there, resolved there. Signed by who sends it. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Secret } from '../config/secret.ts'

/** What somebody did to an incident at its receiver. */
export interface ToldBack {
  /** Of the message: one that comes twice acts once. */
  readonly id: string
  readonly command: 'acknowledge' | 'resolve'
  /** The incident's key there. */
  readonly dedupKey: string
  readonly who: string
}

/** The way back from a receiver. */
export interface Inbound {
  /** Why these bytes are not taken as its own, for people to read; undefined where they are. */
  refusal(headers: IncomingHttpHeaders, body: Uint8Array, nowMs: number): string | undefined
  /** What it says; undefined for what does not concern us, what we did ourselves, and what is too old to be true. */
  read(message: unknown, nowMs: number): ToldBack | undefined
  /** Whether what is acknowledged there stands there already, so that it need not be told. */
  readonly showsByItself: boolean
  /** Whether it tells again what was not answered 2xx; else an error is for the person who waits for the answer. */
  readonly tellsAgain: boolean
}

/** Clocks differ by so much, and a message may be under way for so long. */
export const clockToleranceMs = 300_000

/** What is said to who has another secret, or none. */
export const notSigned =
  'The signature is missing, or is not that of these bytes under the secret of the configuration.'

/** Whether a signature is `VERSION=HEX`, the HMAC-SHA256 of what was signed. Takes as long for a wrong one. */
export function isSignature(
  given: string,
  version: string,
  secret: Secret,
  ...signed: readonly (string | Uint8Array)[]
): boolean {
  const hmac = createHmac('sha256', secret.reveal())
  for (const part of signed) hmac.update(part)
  const wanted = Buffer.from(`${version}=${hmac.digest('hex')}`)
  const signature = Buffer.from(given.trim())
  return signature.length === wanted.length && timingSafeEqual(signature, wanted)
}

/** What somebody sent as an object; an empty one where it is none. */
export function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
