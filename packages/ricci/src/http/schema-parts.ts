/** What the schemas of routes are put together from. */
import { maxWhyLength } from '../access/token.ts'

export const text = { type: 'string' } as const
export const number = { type: 'number' } as const
export const integer = { type: 'integer' } as const
export const flag = { type: 'boolean' } as const
/** Milliseconds since 1970. */
export const moment = { type: 'number', description: 'milliseconds since 1970' } as const
/** Whatever JSON holds. */
export const anything = {} as const

type Properties = Readonly<Record<string, object>>

export const object = (properties: Properties, optional: Properties = {}) => ({
  type: 'object',
  required: Object.keys(properties),
  properties: { ...properties, ...optional },
})
export const list = (items: object) => ({ type: 'array', items })
export const mapOf = (values: object) => ({ type: 'object', additionalProperties: values })

export const failure = {
  description: 'what is wrong and what to do, with a code of docs/errors.md',
  ...object({ error: text, code: text }),
}

/** A route's answer when all is well, and otherwise. */
export const answers = (summary: string, answer: object, more: object = {}) => ({
  summary,
  response: { 200: { description: 'done', ...answer }, default: failure },
  ...more,
})

/** An answer that is no JSON. */
export const streamOf = (...types: readonly string[]) => ({
  content: Object.fromEntries(types.map((type) => [type, { schema: text }])),
})

export const why = { type: 'string', maxLength: maxWhyLength, description: 'for the audit' } as const
