/** Slack by a bot's token: one message an incident, which changes as the incident does. Definition: Slack's Web API, methods `chat.*` and `conversations.history`. */
import { createHash } from 'node:crypto'
import type { Clock, SendRequest, SendResult, Transport } from '@ricci/replica'
import { z } from 'zod'
import type { Secret } from '../config/secret.ts'
import { jsonText, judge, post } from './request.ts'
import { receiverKind } from './kind.ts'
import { slackInbound } from './slack-inbound.ts'
import { slackBlocks, slackMessage } from './slack-message.ts'

/** Largest answer that is read: a page of history is far smaller. */
const maxAnswerBytes = 4_000_000
/** Messages asked for at a time: Slack advises no more. */
const historyPage = 200
/** Pages of history that are looked through for a message: what a busy channel has in a day. More would not end within the time of a request. */
const maxHistoryPages = 5
/** A message may be this much older than its decision by Slack's clock. */
const clockToleranceMs = 300_000
/** Incidents whose message is remembered; of others it is looked up. */
const maxRemembered = 10_000

/** Words for a page's own in a message's metadata, which only apps see. */
const eventType = 'ricci_page'

export const slackKind = receiverKind({
  type: 'slack',
  class: 'B',
  test: ['trigger', 'acknowledge', 'resolve'],
  settings: (fields) => ({
    token: fields.secret('token of the bot (`xoxb-…`): `{ env: NAME }`, `{ file: PATH }` or text'),
    channel: z
      .string()
      .regex(/^[CDG][A-Z0-9]{5,}$/, {
        error:
          "a channel's id is needed here, like C0123ABCD: it stands at the end of the channel's details, not its name",
      })
      .describe("id of the channel, like `C0123ABCD`; Slack shows it in the channel's details"),
    url: fields.url("where Slack's API is").default('https://slack.com/api'),
    ca: fields.authority(),
    signingSecret: fields
      .secret("the app's signing secret: pages then have buttons, and Slack tells `/hooks/NAME` here who pressed them")
      .optional(),
  }),
  inbound: ({ signingSecret }) => (signingSecret === undefined ? undefined : slackInbound(signingSecret)),
  transport: (settings, { clock }) => new SlackTransport(settings, clock),
})

interface Settings {
  readonly token: Secret
  readonly channel: string
  readonly url: string
  readonly ca?: string | undefined
  readonly signingSecret?: Secret | undefined
}

type Answer = Readonly<Record<string, unknown>>
type Told = { readonly answer: Answer } | { readonly result: SendResult; readonly error?: string }

/** What history said: the message's time, which is its name; `none`; `unsure` where more is there than is looked through. */
type Found = { readonly ts: string } | 'none' | 'unsure' | { readonly result: SendResult; readonly error?: string }

/** Mistakes that pass: nobody knows what Slack had done by then. */
const passing = ['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout', 'team_added_to_org']

/** What to do about the mistakes that people make. */
const remedies: Readonly<Record<string, string>> = {
  invalid_auth: "the token is wrong; take the bot's from the app's page",
  not_authed: 'the token is empty; set it',
  token_revoked: 'the token was revoked; install the app anew and set the new one',
  account_inactive: 'the bot was removed; install the app anew and set the new token',
  channel_not_found: 'no such channel, or a private one that the bot is not in; check the id, invite the bot',
  not_in_channel: 'the bot is not in the channel; invite it there',
  is_archived: 'the channel is archived; name another',
  missing_scope: 'the app lacks a scope; add it, and install the app anew',
}

/** Where an incident's message is gone, or too old to be changed. */
const unchangeable = ['message_not_found', 'cant_update_message', 'edit_window_closed']

class SlackTransport implements Transport {
  /** By incident, the time of its message. */
  readonly #messages = new Map<string, string>()

  constructor(
    private readonly settings: Settings,
    private readonly clock: Clock,
  ) {}

  async send(page: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    let isUnsure = false
    if (page.possibleRepeat) {
      const found = await this.#find('id', nameOf(page.idempotencyKey), page.decidedAtMs - clockToleranceMs, signal)
      if (typeof found === 'object' && 'ts' in found) return this.#isThere(page, found.ts)
      if (typeof found === 'object' && found.result.kind !== 'refused') return notLookedUp(found.result)
      // who may not look says so, rather than saying nothing at all
      isUnsure = found !== 'none'
    }
    const told = { ...page, possibleRepeat: isUnsure }
    const hasButtons = this.settings.signingSecret !== undefined
    const message = { ...slackMessage(told), ...(hasButtons && { blocks: slackBlocks(told) }) }
    if (page.action === 'resolve' || page.action === 'acknowledge') {
      const ts = this.#messages.get(page.dedupKey) ?? (await this.#messageOf(page, signal))
      if (typeof ts === 'object') return notLookedUp(ts)
      if (ts !== undefined) {
        const changed = await this.#call('chat.update', { ...this.#to(page), ...message, ts }, mayStart, signal)
        if ('answer' in changed) return { kind: 'delivered', detail: `message ${ts} was changed` }
        if (!unchangeable.includes(changed.error ?? '')) return changed.result
        this.#messages.delete(page.dedupKey)
      }
    }
    const posted = await this.#call('chat.postMessage', { ...this.#to(page), ...message }, mayStart, signal)
    if ('result' in posted) return posted.result
    const ts = String(posted.answer.ts)
    this.#remember(page, ts)
    return { kind: 'delivered', detail: `message ${ts}` }
  }

  #isThere(page: SendRequest, ts: string): SendResult {
    this.#remember(page, ts)
    return { kind: 'delivered', detail: `looked up: an earlier attempt left message ${ts}` }
  }

  /** The time of an incident's message; undefined where there is none any more; else why nobody knows. */
  async #messageOf(page: SendRequest, signal: AbortSignal): Promise<string | undefined | SendResult> {
    const found = await this.#find('incident', nameOf(page.dedupKey), 0, signal)
    if (found === 'none' || found === 'unsure') return undefined
    if ('result' in found) return found.result.kind === 'refused' ? undefined : found.result
    this.#remember(page, found.ts)
    return found.ts
  }

  /** Looks through the channel, the newest first, for a message of ours. */
  async #find(key: 'id' | 'incident', value: string, oldestMs: number, signal: AbortSignal): Promise<Found> {
    let cursor = ''
    for (let page = 0; page < maxHistoryPages; page++) {
      const told = await this.#call(
        'conversations.history',
        {
          channel: this.settings.channel,
          include_all_metadata: 'true',
          limit: String(historyPage),
          ...(oldestMs > 0 && { oldest: (oldestMs / 1000).toFixed(6) }),
          ...(cursor !== '' && { cursor }),
        },
        () => true,
        signal,
      )
      if ('result' in told) return told
      const { messages = [], response_metadata: more } = told.answer as History
      const found = messages.find(
        ({ metadata }) => metadata?.event_type === eventType && metadata.event_payload?.[key] === value,
      )
      if (found?.ts !== undefined) return { ts: found.ts }
      cursor = more?.next_cursor ?? ''
      if (cursor === '') return 'none'
    }
    return 'unsure'
  }

  #to({ idempotencyKey, dedupKey, action }: SendRequest): object {
    const incident = nameOf(action === 'notify' ? idempotencyKey : dedupKey)
    return {
      channel: this.settings.channel,
      metadata: { event_type: eventType, event_payload: { id: nameOf(idempotencyKey), incident } },
      unfurl_links: false,
    }
  }

  /** Asks one method; it reads by GET, as it takes no JSON there. */
  async #call(method: string, what: object, mayStart: () => boolean, signal: AbortSignal): Promise<Told> {
    const { url, ca, token } = this.settings
    const reads = method === 'conversations.history'
    const parameters = reads ? `?${new URLSearchParams(what as Record<string, string>).toString()}` : ''
    const fate = await post(
      {
        method: reads ? 'GET' : 'POST',
        url: `${url.replace(/\/$/, '')}/${method}${parameters}`,
        ca,
        headers: {
          authorization: `Bearer ${token.reveal()}`,
          ...(!reads && { 'content-type': 'application/json; charset=utf-8' }),
        },
        ...(!reads && { body: jsonText(what) }),
        answerBytes: maxAnswerBytes,
      },
      mayStart,
      signal,
    )
    const result = judge(fate, this.clock.wallMs())
    if (fate.kind !== 'answered' || result.kind !== 'delivered') return { result }
    return answerOf(method, fate.text)
  }

  /** The oldest are forgotten: they are looked up where they are asked for. */
  #remember({ action, dedupKey }: SendRequest, ts: string): void {
    if (action === 'notify') return
    this.#messages.delete(dedupKey)
    this.#messages.set(dedupKey, ts)
    if (this.#messages.size > maxRemembered) this.#messages.delete(this.#messages.keys().next().value!)
  }
}

interface History {
  readonly messages?: readonly {
    readonly ts?: string
    readonly metadata?: { readonly event_type?: string; readonly event_payload?: Readonly<Record<string, unknown>> }
  }[]
  readonly response_metadata?: { readonly next_cursor?: string }
}

/** An answer of 2xx says in its body whether it is a yes. */
function answerOf(method: string, text: string): Told {
  let answer: Answer | undefined
  try {
    answer = JSON.parse(text) as Answer
  } catch {
    // cut off, or not Slack's
  }
  if (answer?.ok === true) return { answer }
  if (answer?.ok !== false) return { result: { kind: 'unknown', detail: `${method}: what answers is not Slack's API` } }
  const error = String(answer.error)
  if (error === 'ratelimited' || error === 'rate_limited') {
    return { result: { kind: 'failed', detail: `${method}: Slack says ${error}` }, error }
  }
  if (passing.includes(error)) return { result: { kind: 'unknown', detail: `${method}: Slack says ${error}` }, error }
  const needed = typeof answer.needed === 'string' ? ` (${answer.needed})` : ''
  const remedy = remedies[error] === undefined ? '' : `: ${remedies[error]}`
  return { result: { kind: 'refused', detail: `${method}: Slack says ${error}${needed}${remedy}` }, error }
}

/** Nothing went out but a question; a wait that was asked for is kept. */
function notLookedUp(result: SendResult): SendResult {
  if (result.kind === 'delivered' || result.kind === 'refused') return result
  return { ...result, kind: 'failed', detail: `nothing was sent, as it could not be looked up: ${result.detail}` }
}

/** A key as it stands in metadata: the user's own may be longer than Slack takes. */
function nameOf(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}
