/**
 * Bodies of webhooks as their users write them: plain data in which texts hold `{{field}}`. Being filled in as data and written as JSON
 * afterwards, a body is well-formed whatever an event's text holds, and there is nothing in it that could run.
 */
import { didYouMean } from '../config/nearest.ts'

/** Fills in a page's fields. */
export type Template = (fields: Readonly<Record<string, unknown>>) => unknown

/** Deeper ones nobody writes by hand. */
const maxDepth = 20

/** A sentence about a template that cannot be used. */
export class TemplateError extends Error {}

const placeholder = /\{\{([^{}]*)\}\}/g

/**
 * @param value texts, numbers, lists and blocks of keys, as the configuration has them
 * @param names the fields there are
 * @throws TemplateError that says which place of it is wrong
 */
export function templateOf(value: unknown, names: readonly string[], depth = 0): Template {
  if (depth > maxDepth) throw new TemplateError(`more than ${maxDepth} blocks lie in one another; write it flatter`)
  if (typeof value === 'string') return textTemplate(value, names)
  if (Array.isArray(value)) {
    const items = value.map((item) => templateOf(item, names, depth + 1))
    return (fields) => items.map((item) => item(fields))
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, one]) => [key, templateOf(one, names, depth + 1)] as const)
    return (fields) => Object.fromEntries(entries.map(([key, one]) => [key, one(fields)]))
  }
  return () => value
}

function textTemplate(text: string, names: readonly string[]): Template {
  const literals: string[] = []
  const inserted: string[] = []
  let from = 0
  for (const found of text.matchAll(placeholder)) {
    const name = found[1].trim()
    if (!names.includes(name)) {
      throw new TemplateError(`there is no field {{${name}}}${didYouMean(name, names)}; there are ${names.join(', ')}`)
    }
    literals.push(text.slice(from, found.index))
    inserted.push(name)
    from = found.index + found[0].length
  }
  const rest = text.slice(from)
  const unclosed = [...literals, rest].find((literal) => literal.includes('{{'))
  if (unclosed !== undefined) {
    throw new TemplateError(
      `"${unclosed.slice(unclosed.indexOf('{{')).slice(0, 20)}" begins no field; write {{summary}}`,
    )
  }
  // alone it keeps its kind: a list stays a list
  if (inserted.length === 1 && literals[0] === '' && rest === '') return (fields) => fields[inserted[0]]
  return (fields) => inserted.map((name, i) => literals[i] + shown(fields[name])).join('') + rest
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
