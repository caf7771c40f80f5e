/** What a page looks like in Slack, however it gets there. */
import type { SendRequest } from '@ricci/replica'
import { slackButtons } from './slack-inbound.ts'
import { cut, factsOf, headline, pageWords } from './text.ts'

/** Slack cuts a message's text at 40,000 characters and folds it long before; the page's first line is what is read. */
const maxHeadlineCharacters = 3_000
/** Slack refuses a block with a longer text, as it is sent: `<` counts as the four letters that stand for it. */
const maxBlockCharacters = 3_000
/** Of a headline of which every character takes five, with its word before it. */
const shortHeadlineCharacters = 580
/** Of a field beside it. */
const maxFieldCharacters = 500

export interface SlackMessage {
  readonly text: string
  readonly attachments: readonly {
    readonly color: string
    readonly fallback: string
    readonly fields: readonly { readonly title: string; readonly value: string; readonly short: true }[]
  }[]
}

export function slackMessage(page: SendRequest): SlackMessage {
  const text = lineOf(page, maxHeadlineCharacters)
  const fields = factsOf(page).map(([title, value]) => ({
    title,
    value: escaped(cut(value, maxFieldCharacters)),
    short: true as const,
  }))
  return { text, attachments: [{ color: colourOf(page), fallback: text, fields }] }
}

/**
 * The same for a message that people may act on: Slack shows blocks in place of the text, above the attachments. What is over, has no life of its own or speaks
 * of many has no buttons.
 */
export function slackBlocks(page: SendRequest): readonly object[] {
  const long = lineOf(page, maxHeadlineCharacters)
  const text = long.length <= maxBlockCharacters ? long : lineOf(page, shortHeadlineCharacters)
  const line = { type: 'section', text: { type: 'mrkdwn', text, verbatim: true } }
  const isOpen = page.action === 'trigger' || page.action === 'acknowledge'
  return isOpen && page.members === undefined ? [line, slackButtons(page.dedupKey)] : [line]
}

function lineOf(page: SendRequest, maxCharacters: number): string {
  return escaped(`${pageWords[page.action]}: ${headline(page, maxCharacters)}`)
}

function colourOf({ action, severity }: SendRequest): string {
  if (action === 'resolve' || severity === 'ok') return 'good'
  if (action === 'acknowledge') return '#439fe0'
  return severity === 'warning' || severity === 'info' ? 'warning' : 'danger'
}

/** Slack's three letters with a meaning; nobody is called by what stands in an event. Definition: Slack, "Formatting text". */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
