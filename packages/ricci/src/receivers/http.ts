/** Receivers that are told a page by one HTTP request: what differs between them, and the transport around it. */
import type { Clock, SendRequest, SendResult, Transport } from '@ricci/replica'
import { jsonText, judge, post, type Fate, type HttpRequest } from './request.ts'
import { cut } from './text.ts'

/** What a kind of receiver says of itself. */
export interface HttpForm {
  readonly url: string
  /** PEM text: the authorities that its certificate may come from, instead of Node's own. */
  readonly ca?: string | undefined
  /** Largest body that it takes, in bytes. */
  readonly bodyLimit: number
  /** The body, to be written as JSON unless it is text. */
  readonly body: (page: SendRequest) => unknown
  /** In its place where it throws, or stays too large: no page is lost to what its user wrote. */
  readonly plainBody?: (page: SendRequest) => unknown
  readonly headers?: (page: SendRequest, body: string) => Readonly<Record<string, string>>
  /**
   * What an answer of 2xx says, where it may say no in its body: of which at most so many bytes are read. By default the status alone counts.
   */
  readonly answer?: { readonly bytes: number; readonly judge: (text: string) => SendResult | undefined }
}

/** Of a text in a body that would be too large otherwise. */
const shortCharacters = 1_000
/** Of a digest's members in one. */
const fewMembers = 100

const leftOut = 'left out: the page would be too large for its receiver'

/** What is given up of a page that is too large, one after another; what it is known by is not. */
const smaller: readonly ((page: SendRequest) => SendRequest)[] = [
  (page) => page,
  (page) => ({ ...page, provenance: leftOut }),
  ({ members, memberCount = members?.length, ...page }) =>
    members === undefined ? page : { ...page, members: members.slice(0, fewMembers), memberCount },
  (page) => ({
    ...page,
    severity: cut(page.severity, shortCharacters),
    summary: cut(page.summary, shortCharacters),
    host: cut(page.host, shortCharacters),
    service: cut(page.service, shortCharacters),
    rule: cut(page.rule, shortCharacters),
  }),
]

type Bodies = Pick<HttpForm, 'body' | 'plainBody' | 'bodyLimit'>

/** The body of a page, with less and less in it until it is within the limit; at last, whatever came of it. */
export function fittedBody(page: SendRequest, { body, plainBody = body, bodyLimit }: Bodies): string {
  let text = ''
  for (const render of [body, plainBody]) {
    let fitted = page
    for (const reduce of smaller) {
      fitted = reduce(fitted)
      try {
        text = jsonText(render(fitted))
      } catch (error) {
        if (render === plainBody) throw error
        break
      }
      if (Buffer.byteLength(text) <= bodyLimit) return text
    }
  }
  return text
}

export class HttpTransport implements Transport {
  constructor(
    private readonly form: HttpForm,
    private readonly clock: Clock,
  ) {}

  async send(page: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    const { form, clock } = this
    const { url, ca, answer } = form
    const body = fittedBody(page, form)
    const headers = { 'content-type': 'application/json', ...form.headers?.(page, body) }
    const request: HttpRequest = { url, ca, headers, body, answerBytes: answer?.bytes }
    const fate = await post(request, mayStart, signal)
    return said(fate, answer) ?? judge(fate, clock.wallMs())
  }
}

function said(fate: Fate, answer: HttpForm['answer']): SendResult | undefined {
  return fate.kind === 'answered' && fate.status < 300 ? answer?.judge(fate.text) : undefined
}
