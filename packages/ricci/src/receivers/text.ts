import type { SendRequest } from '@ricci/replica'

/**
 * The one line that a person reads first. A page that may have been delivered before says so here, where nobody can overlook it;
 * a digest says how many pages it stands for.
 */
export function headline(request: SendRequest): string {
  const { members, possibleRepeat } = request
  const count = members === undefined || members.length === 0 ? '' : ` (${members.length} pages in one)`
  return `${plainText(request.summary)}${count}${possibleRepeat ? ' (possible repeat)' : ''}`
}

/**
 * Text from events as it may stand on a terminal or in one line: control characters, escape sequences among them, become spaces.
 */
export function plainText(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
}
