/** What a page looks like in Slack, however it gets there. */
import type { SendRequest } from '@ricci/replica'
import { cut, factsOf, headline, pageWords } from './text.ts'

/** Slack cuts a message's text at 40,000 characters and folds it long before; the page's first line is what is read. */
const maxHeadlineCharacters = 3_000
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
  const text = escaped(`${pageWords[page.action]}: ${headline(page, maxHeadlineCharacters)}`)
  const fields = factsOf(page).map(([title, value]) => ({
    title,
    value: escaped(cut(value, maxFieldCharacters)),
    short: true as const,
  }))
  return { text, attachments: [{ color: colourOf(page), fallback: text, fields }] }
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
