/** What the schema says about itself: for messages ("did you mean") and for the table in `docs/configuration.md`. */
import { z } from 'zod'
import { configSchema } from './schema.ts'

interface JsonSchema {
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | false
  readonly oneOf?: readonly JsonSchema[]
}

function jsonSchema(): JsonSchema {
  const schema = configSchema({ folder: '.', env: {}, root: false, readFile: () => '' })
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
}

/**
 * The keys allowed at a path of the configuration.
 * @param typeAt tells the value of `type` in the block at a path, where the keys depend on it
 */
export function keysAt(path: readonly PropertyKey[], typeAt: (path: readonly PropertyKey[]) => unknown): string[] {
  let node: JsonSchema | undefined = jsonSchema()
  path.forEach((step, depth) => {
    node = node?.properties?.[String(step)] ?? (node?.additionalProperties || undefined)
    const here = path.slice(0, depth + 1)
    if (node?.oneOf !== undefined) node = node.oneOf.find((option) => option.properties?.type?.const === typeAt(here))
  })
  return Object.keys(node?.properties ?? {})
}

/** Defaults that depend on the machine: the table says so in the description. */
const ofTheMachine = ['instance', 'data', 'rules']

/** The reference as a Markdown table; a test holds `docs/configuration.md` to it. */
export function configurationTable(): string {
  const rows = [['key', 'default', 'meaning'], ['---', '---', '---'], ...rowsOf(jsonSchema(), '')]
  return rows.map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')
}

function rowsOf(block: JsonSchema, prefix: string): string[][] {
  return Object.entries(block.properties ?? {}).flatMap(([key, field]) => {
    const name = prefix + key
    if (field.const !== undefined) return []
    const rows = [[`\`${name}\``, defaultText(name, field, block), meaning(field)]]
    if (field.properties !== undefined) rows.push(...rowsOf(field, `${name}.`))
    for (const option of field.additionalProperties ? (field.additionalProperties.oneOf ?? []) : []) {
      const type = String(option.properties?.type?.const)
      rows.push([`\`${name}.NAME.type\``, 'needed', `\`${type}\`; with it:`], ...rowsOf(option, `${name}.NAME.`))
    }
    return rows
  })
}

function defaultText(name: string, field: JsonSchema, block: JsonSchema): string {
  if (block.required?.includes(name.split('.').at(-1)!)) return 'needed'
  if (field.default === undefined || typeof field.default === 'object' || ofTheMachine.includes(name)) return ''
  return `\`${String(field.default)}\``
}

function meaning(field: JsonSchema): string {
  const options = field.enum === undefined ? '' : `: ${field.enum.map((word) => `\`${word}\``).join(' or ')}`
  return `${field.description ?? ''}${options}`
}
