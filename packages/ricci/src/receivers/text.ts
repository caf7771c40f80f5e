import type { SendRequest } from '@ricci/replica'

/**
 * The one line that a person reads first. A page that may have been delivered before says so here, where nobody can overlook it;
 * a digest says how many pages it stands for.
 */
export function headline(request: SendRequest): string {
  const members = memberCountOf(request)
  const count = members === 0 ? '' : ` (${members} pages in one)`
  return `${summaryOf(request)}${count}${request.possibleRepeat ? ' (possible repeat)' : ''}`
}

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
