/** Datadog's event stream. Definition: Datadog's API reference, "Post an event" (v1). */
import { createHash } from 'node:crypto'
import type { Clock, SendRequest } from '@ricci/replica'
import { HttpTransport } from './http.ts'
import { receiverKind } from './kind.ts'
import { cut, factsOf, headline, pageWords } from './text.ts'

/** Datadog's own limits, in characters. */
const maxKeyCharacters = 100
const maxTitleCharacters = 100
const maxTextCharacters = 4_000
const maxTagCharacters = 200
/** An event older than 18 hours is refused; one with no time is of now. */
const maxAgeMs = 17 * 3_600_000
/** Far above what an event within those limits has. */
const bodyLimit = 100_000

/** What Datadog calls an event, by the state that Ricci's events have. What is not here is `error`. */
const alertTypes: ReadonlyMap<string, string> = new Map([
  ['ok', 'success'],
  ['info', 'info'],
  ['warning', 'warning'],
])

/** Pages as events, those of one incident grouped by `aggregation_key`. Each stands in the stream, a repeat too (class C). */
export const datadogKind = receiverKind({
  type: 'datadog',
  class: 'C',
  test: ['notify'],
  settings: (fields) => ({
    apiKey: fields.secret("an API key of Datadog's: `{ env: NAME }`, `{ file: PATH }` or text"),
    url: fields
      .url(
        'where events are posted to; each site of Datadog has its own, like `https://api.datadoghq.eu/api/v1/events`',
      )
      .default('https://api.datadoghq.com/api/v1/events'),
    ca: fields.authority(),
  }),
  transport: ({ apiKey, url, ca }, { clock }) =>
    new HttpTransport(
      {
        url,
        ca,
        bodyLimit,
        body: (page) => datadogEvent(page, clock),
        headers: () => ({ 'dd-api-key': apiKey.reveal() }),
      },
      clock,
    ),
})

export function datadogEvent(page: SendRequest, clock: Clock): Record<string, unknown> {
  const word = `${pageWords[page.action]}: `
  const facts = factsOf(page)
  const lines = [headline(page, maxTextCharacters / 2), ...facts.map(([name, text]) => `${name}: ${text}`)]
  const key = page.action === 'notify' ? page.idempotencyKey : page.dedupKey
  const isOld = clock.wallMs() - page.decidedAtMs > maxAgeMs
  return {
    title: word + headline(page, maxTitleCharacters - word.length),
    text: cut(lines.join('\n'), maxTextCharacters),
    aggregation_key: key.length <= maxKeyCharacters ? key : createHash('sha256').update(key).digest('hex'),
    alert_type: page.action === 'resolve' ? 'success' : (alertTypes.get(page.severity) ?? 'error'),
    ...(isOld ? {} : { date_happened: Math.floor(page.decidedAtMs / 1000) }),
    ...(page.host.trim() === '' ? {} : { host: cut(page.host, maxTagCharacters) }),
    source_type_name: 'ricci',
    tags: facts
      .filter(([name]) => name !== 'host' && name !== 'decided')
      .map(([name, text]) => cut(`${name}:${text}`, maxTagCharacters)),
  }
}
