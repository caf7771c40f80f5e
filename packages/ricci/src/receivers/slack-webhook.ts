import type { SendResult } from '@ricci/replica'
import { HttpTransport } from './http.ts'
import { receiverKind } from './kind.ts'
import { slackMessage } from './slack-message.ts'

/** Far above what a message has. */
const bodyLimit = 100_000
/** Its answer is a word. */
const answerBytes = 1_024

/** Slack's incoming webhooks: they take a message and know nothing of it afterwards (class C). Definition: Slack, "Sending messages using incoming webhooks". */
export const slackWebhookKind = receiverKind({
  type: 'slack-webhook',
  class: 'C',
  test: ['notify'],
  settings: (fields) => ({
    url: fields.secretUrl('address of the incoming webhook, which is a secret'),
    ca: fields.authority(),
  }),
  transport: ({ url, ca }, { clock }) => {
    const answer = { bytes: answerBytes, judge: answered }
    return new HttpTransport({ url: url.reveal(), ca, bodyLimit, body: slackMessage, answer }, clock)
  },
})

/** `ok` is what it says; what looks like Slack and says no is a no, however it was sent. */
function answered(text: string): SendResult | undefined {
  const error = /"ok"\s*:\s*false/.test(text) ? /"error"\s*:\s*"([^"]*)"/.exec(text)?.[1] : undefined
  return error === undefined ? undefined : { kind: 'refused', detail: `Slack says ${error}` }
}
