import type { SendRequest } from '@ricci/replica'

/**
 * The one line that a person reads first. A page that may have been delivered before says so here, where nobody can overlook it;
 * a digest says how many pages it stands for. These stay where a long text has to be cut.
 */
export function headline(request: SendRequest, maxCharacters = Infinity): string {
  const members = memberCountOf(request)
  const count = members === 0 ? '' : ` (${members} pages in one)`
  const marks = `${count}${request.possibleRepeat ? ' (possible repeat)' : ''}`
  return cut(summaryOf(request), maxCharacters - marks.length) + marks
}

/** At most so many characters, with … where some are missing, and none of them half. */
export function cut(text: string, characters: number): string {
  if (text.length <= characters) return text
  return `${text.slice(0, characters - 1).replace(/[\ud800-\udbff]$/, '')}…`
}

/** What a page is about, for people: pairs of a word and a text, none of them empty. */
export function factsOf(page: SendRequest): [name: string, text: string][] {
  const facts: [string, string][] = [
    ['host', page.host],
    ['service', page.service],
    ['state', page.severity],
    ['rule', page.rule],
    ['decided', new Date(page.decidedAtMs).toISOString()],
  ]
  return facts.map(([name, text]): [string, string] => [name, plainText(text)]).filter(([, text]) => text.trim() !== '')
}

/** What a page is, in a word: before its headline where nothing else tells it. */
export const pageWords = { trigger: 'PAGE', acknowledge: 'TAKEN ON', resolve: 'RESOLVED', notify: 'NOTICE' } as const

/** How many pages a digest stands for; 0 for any other. */
export function memberCountOf({ members = [], memberCount = members.length }: SendRequest): number {
  return memberCount
}

/** A rule may give no text at all, and PagerDuty refuses an incident without one. */
function summaryOf({ summary, rule, host, service }: SendRequest): string {
  const text = plainText(summary)
  return text.trim() === '' ? plainText([`${rule}:`, host, service].filter((part) => part !== '').join(' ')) : text
}

/**
 * Text from events as it may stand on a terminal or in one line: control characters, escape sequences among them, become spaces.
 */
export function plainText(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}
