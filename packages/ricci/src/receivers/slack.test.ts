// Slack: one message an incident, changed in place, looked up where nobody knows whether it is there.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { SendRequest } from '@ricci/replica'
import { parseConfig } from '../config/config.ts'
import { createReceivers } from './receivers.ts'
import { bodyOf, httpServer, page, TestClock } from './testing.ts'

const token = 'xoxb-S3CRET-5512'

type Blocks = readonly { readonly text?: { readonly text: string }; readonly elements?: readonly Button[] }[]
type Button = { readonly action_id: string; readonly value: string }

type Body = Record<string, unknown> & { readonly metadata?: { readonly event_payload: Record<string, string> } }

/** A workspace: what Slack's API does with the methods that are used, by its reference. */
class Workspace {
  readonly calls: string[] = []
  readonly messages: { ts: string; text: string; metadata?: unknown; colour: string; blocks?: Blocks | undefined }[] =
    []
  /** What the next calls of a method answer instead; `drop`: done, and no answer. */
  readonly troubles = new Map<string, ('drop' | { readonly status?: number; readonly body: object })[]>()
  /** Other people's messages above those of ours. */
  chatter = 0
  lastQuery = new URLSearchParams()

  async serve(t: TestContext): Promise<string> {
    const url = await httpServer(t, async (request, response) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://slack')
      const method = pathname.slice('/api/'.length)
      this.calls.push(method)
      assert.equal(request.headers.authorization, `Bearer ${token}`)
      const text = await bodyOf(request)
      const trouble = this.troubles.get(method)?.shift()
      if (typeof trouble === 'object')
        return void response.writeHead(trouble.status ?? 200).end(JSON.stringify(trouble.body))
      const answer = this.answer(method, text === '' ? {} : (JSON.parse(text) as Body), searchParams)
      if (trouble === 'drop') return void request.socket.destroy()
      response.writeHead(200).end(JSON.stringify(answer))
    })
    return new URL('/api', url).href
  }

  private answer(method: string, body: Body, query: URLSearchParams): object {
    if (method === 'conversations.history') return this.history(query)
    assert.equal(body.channel, 'C0123ABCD')
    const [{ color }] = body.attachments as { color: string }[]
    const { metadata } = body
    const blocks = body.blocks as Blocks | undefined
    const text = String(body.text)
    if (method === 'chat.postMessage') {
      const ts = `${1_700_000_000 + this.messages.length}.000100`
      this.messages.push({ ts, text, metadata, colour: color, blocks })
      return { ok: true, channel: 'C0123ABCD', ts }
    }
    assert.equal(method, 'chat.update')
    const message = this.messages.find(({ ts }) => ts === body.ts)
    if (message === undefined) return { ok: false, error: 'message_not_found' }
    Object.assign(message, { text, metadata, colour: color, blocks })
    return { ok: true, ts: message.ts }
  }

  /** The newest first, a part at a time; metadata for who asks for it. */
  private history(query: URLSearchParams): object {
    this.lastQuery = query
    const all = [
      ...Array.from({ length: this.chatter }, (_, n) => ({ ts: `1800000000.${n}`, text: 'hello' })),
      ...this.messages.toReversed(),
    ]
    const from = Number(query.get('cursor') ?? '0')
    const limit = Number(query.get('limit'))
    const messages = all.slice(from, from + limit).map((message) => {
      return query.get('include_all_metadata') === 'true' ? message : { ...message, metadata: undefined }
    })
    const more = from + limit < all.length
    return { ok: true, messages, has_more: more, response_metadata: { next_cursor: more ? String(from + limit) : '' } }
  }

  trouble(method: string, ...troubles: ('drop' | { readonly status?: number; readonly body: object })[]): void {
    this.troubles.set(method, troubles)
  }
}

/** A process that pages the workspace: another one knows of no message. */
function instance(url: string, more = '') {
  const yaml = `receivers: { room: { type: slack, token: { env: TOKEN }, channel: C0123ABCD, url: "${url}"${more} } }`
  const config = parseConfig(yaml, 'test.yaml', { env: { TOKEN: token, SIGNS: 'a secret of the app' } })
  const receiver = createReceivers(config, { clock: new TestClock(), write: () => assert.fail() }).get('room')!
  assert.equal(receiver.class, 'B')
  return (change: Partial<SendRequest> = {}) =>
    receiver.transport.send({ ...page, ...change }, () => true, new AbortController().signal)
}

const resolve = { action: 'resolve', idempotencyKey: 'log-1/0/30/0/77', severity: 'ok' } as const

async function workspace(t: TestContext) {
  const slack = new Workspace()
  const url = await slack.serve(t)
  return { slack, url, send: instance(url) }
}

describe('slack', () => {
  it('an incident is one message that changes', async (t) => {
    const { slack, send } = await workspace(t)
    assert.deepEqual(await send(), { kind: 'delivered', detail: 'message 1700000000.000100' })
    assert.equal(slack.messages[0].text, 'PAGE: 0.97 for 30 s')
    assert.equal(slack.messages[0].colour, 'danger')
    await send({ action: 'acknowledge', idempotencyKey: 'ack' })
    assert.equal(slack.messages[0].text, 'TAKEN ON: 0.97 for 30 s')
    await send(resolve)
    assert.deepEqual(
      slack.messages.map(({ text, colour }) => [text, colour]),
      [['RESOLVED: 0.97 for 30 s', 'good']],
    )
    assert.deepEqual(slack.calls, ['chat.postMessage', 'chat.update', 'chat.update'], 'nothing is looked up needlessly')
  })

  it('another instance finds the message to change, however much was said since', async (t) => {
    const { slack, url, send } = await workspace(t)
    await send()
    await send({ idempotencyKey: 'other', dedupKey: 'other' })
    slack.chatter = 450
    assert.equal((await instance(url)(resolve)).kind, 'delivered')
    assert.deepEqual(
      slack.messages.map(({ text }) => text),
      ['RESOLVED: 0.97 for 30 s', 'PAGE: 0.97 for 30 s'],
    )
    assert.equal(slack.calls.filter((call) => call === 'conversations.history').length, 3)
  })

  it('where its message is gone, or too far back, it says so in a new one', async (t) => {
    const { slack, url, send } = await workspace(t)
    await send()
    slack.messages.length = 0
    await send(resolve)
    assert.deepEqual(slack.calls, ['chat.postMessage', 'chat.update', 'chat.postMessage'])
    slack.chatter = 5_000
    await instance(url)({ ...resolve, dedupKey: 'long ago' })
    assert.deepEqual(
      slack.messages.map(({ text }) => text),
      ['RESOLVED: 0.97 for 30 s', 'RESOLVED: 0.97 for 30 s'],
    )
  })

  it('an attempt in doubt is looked up: what is there is not said again', async (t) => {
    const { slack, url, send } = await workspace(t)
    slack.trouble('chat.postMessage', 'drop')
    assert.equal((await send()).kind, 'unknown')
    assert.deepEqual(await instance(url)({ possibleRepeat: true }), {
      kind: 'delivered',
      detail: 'looked up: an earlier attempt left message 1700000000.000100',
    })
    assert.equal(slack.messages.length, 1)
    assert.equal(Number(slack.lastQuery.get('oldest')), page.decidedAtMs / 1000 - 300)
    // and its message is known from then on
    await send(resolve)
    assert.equal(slack.messages[0].text, 'RESOLVED: 0.97 for 30 s')
  })

  it('an attempt in doubt that left nothing is made again, unmarked', async (t) => {
    const { slack, send } = await workspace(t)
    slack.trouble('chat.postMessage', { status: 502, body: {} })
    assert.equal((await send()).kind, 'unknown')
    assert.equal((await send({ possibleRepeat: true })).kind, 'delivered')
    assert.deepEqual(
      slack.messages.map(({ text }) => text),
      ['PAGE: 0.97 for 30 s'],
    )
  })

  it('while nobody can look, nothing is sent; who may not look says that it may be a repeat', async (t) => {
    const { slack, send } = await workspace(t)
    slack.trouble(
      'conversations.history',
      { status: 503, body: {} },
      { status: 429, body: { ok: false, error: 'ratelimited' } },
      'drop',
      { body: { ok: false, error: 'fatal_error' } },
    )
    for (let n = 0; n < 4; n++) {
      const { kind, detail } = await send({ possibleRepeat: true })
      assert.deepEqual([kind, slack.messages.length], ['failed', 0])
      assert.match(detail!, /^nothing was sent, as it could not be looked up: /)
    }
    slack.trouble('conversations.history', { body: { ok: false, error: 'missing_scope', needed: 'channels:history' } })
    assert.equal((await send({ possibleRepeat: true })).kind, 'delivered')
    assert.equal(slack.messages[0].text, 'PAGE: 0.97 for 30 s (possible repeat)')
    slack.chatter = 5_000
    await send({ possibleRepeat: true })
    assert.equal(
      slack.messages[1].text,
      'PAGE: 0.97 for 30 s (possible repeat)',
      'more was said than is looked through',
    )
  })

  const answers: [what: object, kind: string, detail: RegExp][] = [
    [{ ok: false, error: 'invalid_auth' }, 'refused', /Slack says invalid_auth: the token is wrong/],
    [{ ok: false, error: 'channel_not_found' }, 'refused', /channel_not_found: no such channel/],
    [
      { ok: false, error: 'missing_scope', needed: 'chat:write' },
      'refused',
      /missing_scope \(chat:write\): the app lacks/,
    ],
    [{ ok: false, error: 'restricted_action' }, 'refused', /Slack says restricted_action$/],
    [{ ok: false, error: 'ratelimited' }, 'failed', /Slack says ratelimited/],
    [{ ok: false, error: 'internal_error' }, 'unknown', /Slack says internal_error/],
    [{ ok: false, error: `${token} is wrong` }, 'refused', /Slack says \(secret\) is wrong/],
    [{ hello: 'world' }, 'unknown', /what answers is not Slack/],
  ]
  for (const [body, kind, detail] of answers) {
    it(`200 with ${JSON.stringify(body).replace(token, 'the token')} is ${kind}`, async (t) => {
      const { slack, send } = await workspace(t)
      slack.trouble('chat.postMessage', { body })
      const result = await send()
      assert.equal(result.kind, kind)
      assert.match(result.detail!, detail)
    })
  }

  it('nobody is called by what stands in an event', async (t) => {
    const { slack, send } = await workspace(t)
    await send({ summary: '<!channel> a & b <https://evil|click>' })
    assert.equal(slack.messages[0].text, 'PAGE: &lt;!channel&gt; a &amp; b &lt;https://evil|click&gt;')
  })
})

describe('buttons at Slack', () => {
  /** What stands there to be read, and what may be pressed. */
  const shown = (blocks: Blocks | undefined) =>
    blocks?.map(({ text, elements }) => text?.text ?? elements?.map((one) => `${one.action_id} ${one.value}`).join())

  it('stand under what is open, and go with the incident', async (t) => {
    const { slack, url } = await workspace(t)
    const send = instance(url, ', signingSecret: { env: SIGNS }')
    const buttons = `ricci_acknowledge ${page.dedupKey},ricci_resolve ${page.dedupKey}`
    await send()
    assert.deepEqual(shown(slack.messages[0].blocks), ['PAGE: 0.97 for 30 s', buttons])
    await send({ action: 'acknowledge', idempotencyKey: 'ack', summary: 'taken on by ann (U0ANN): 0.97 for 30 s' })
    assert.deepEqual(shown(slack.messages[0].blocks), ['TAKEN ON: taken on by ann (U0ANN): 0.97 for 30 s', buttons])
    await send(resolve)
    assert.deepEqual(shown(slack.messages[0].blocks), ['RESOLVED: 0.97 for 30 s'])
    await send({ action: 'notify', idempotencyKey: 'notice' })
    await send({ idempotencyKey: 'many', members: ['a', 'b'] })
    assert.deepEqual(
      slack.messages.slice(1).map(({ blocks }) => shown(blocks)),
      [['NOTICE: 0.97 for 30 s'], ['PAGE: 0.97 for 30 s (2 pages in one)']],
    )
  })

  it('stand nowhere where nobody would hear of them', async (t) => {
    const { slack, send } = await workspace(t)
    await send()
    assert.equal(slack.messages[0].blocks, undefined)
  })

  it('keep a line that Slack would refuse for its length within it', async (t) => {
    const { slack, url } = await workspace(t)
    await instance(url, ', signingSecret: { env: SIGNS }')({ summary: '&'.repeat(2_900), possibleRepeat: false })
    const [line] = shown(slack.messages[0].blocks)!
    assert.ok(line!.length <= 3_000, String(line!.length))
    assert.match(line!, /^PAGE: (&amp;)+…$/)
  })
})

describe('slack-webhook', () => {
  it('posts a message; what Slack refuses within a 200 is refused', async (t) => {
    let answer = 'ok'
    const bodies: { text: string; attachments: unknown[] }[] = []
    const url = await httpServer(t, async (request, response) => {
      bodies.push(JSON.parse(await bodyOf(request)) as (typeof bodies)[number])
      response.writeHead(200).end(answer)
    })
    const yaml = `receivers: { room: { type: slack-webhook, url: { env: HOOK }, inDoubt: miss } }`
    const config = parseConfig(yaml, 'test.yaml', { env: { HOOK: url } })
    const receiver = createReceivers(config, { clock: new TestClock(), write: () => assert.fail() }).get('room')!
    assert.deepEqual([receiver.class, receiver.blindPolicy], ['C', 'miss'])
    const send = () =>
      receiver.transport.send({ ...page, possibleRepeat: true }, () => true, new AbortController().signal)
    assert.equal((await send()).kind, 'delivered')
    assert.equal(bodies[0].text, 'PAGE: 0.97 for 30 s (possible repeat)')
    assert.equal(bodies[0].attachments.length, 1)
    answer = '{"ok":false,"error":"no_service"}'
    assert.deepEqual(await send(), { kind: 'refused', detail: 'Slack says no_service' })
  })
})
