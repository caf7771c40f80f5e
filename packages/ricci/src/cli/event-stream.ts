/** What answers to queries begin with; what else they say comes behind the events. */
const opening = '{"events":'

const [quote, backslash, open, close, openObject, closeObject] = ['"', '\\', '[', ']', '{', '}'].map((character) =>
  character.charCodeAt(0),
)

/**
 * Hands on the events of an answer as they come, as one JSON text, and gives the answer without them: a million of them would fill the memory of who asks.
 * @throws SyntaxError for what is no such answer, or not whole
 */
export async function passEvents(answer: AsyncIterable<Uint8Array>, pass: (text: string) => void): Promise<unknown> {
  const decoder = new TextDecoder()
  let head = ''
  let tail = ''
  let depth = 0
  let isText = false
  let isEscaped = false
  let isOver = false
  /** Gives how much of a text belongs to the events. */
  const within = (text: string): number => {
    for (let at = 0; at < text.length; at++) {
      const character = text.charCodeAt(at)
      if (isEscaped) isEscaped = false
      else if (isText) {
        if (character === backslash) isEscaped = true
        else if (character === quote) isText = false
      } else if (character === quote) isText = true
      else if (character === open || character === openObject) depth++
      else if ((character === close || character === closeObject) && --depth === 0) {
        isOver = true
        return at + 1
      }
    }
    return text.length
  }
  for await (const chunk of answer) {
    let text = decoder.decode(chunk, { stream: true })
    if (head.length < opening.length + 1) {
      head += text
      if (head.length <= opening.length) continue
      if (!head.startsWith(`${opening}[`)) throw new SyntaxError('these are no events')
      text = head.slice(opening.length)
    }
    const length = isOver ? 0 : within(text)
    if (length > 0) pass(text.slice(0, length))
    tail += text.slice(length)
  }
  if (!isOver) throw new SyntaxError('the events are not whole')
  pass('\n')
  return JSON.parse(`${opening}[]${tail}`)
}
