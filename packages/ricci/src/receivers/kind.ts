/**
 * The form that every kind of receiver has. A new kind is one file that defines its own with {@link receiverKind}, and its name in
 * `kinds.ts`: the configuration with its reference and messages, secrets kept out of what is told, `ricci receivers` and the table of
 * faults in `contract.test.ts` follow from it. Most are one HTTP request a page: {@link HttpForm} in `http.ts`.
 */
import type { Clock, ReceiverClass, SendRequest, Transport } from '@ricci/replica'
import { z } from 'zod'
import type { Fields } from '../config/fields.ts'
import type { Inbound } from './inbound.ts'
import { secretsIn, silently } from './silence.ts'

/** What a receiver is given of the process it is in. */
export interface Means {
  readonly clock: Clock
  /** Takes a line without its newline; rejects where it cannot. */
  readonly write: (line: string) => void | Promise<void>
}

type Actions = readonly SendRequest['action'][]

/** A receiver as the configuration has it, secrets resolved. */
export interface ConfiguredReceiver {
  readonly type: string
  readonly class: ReceiverClass
  readonly inDoubt: 'repeat' | 'miss'
  readonly sendOvertaken: boolean
  /** What it can be told, and what a test sends it, one after another under one key. With `acknowledge` it hears who takes something on. */
  readonly test: Actions
  connect(means: Means): Transport
  /** Takes back what people did there; absent where that is not set up. */
  readonly inbound?: Inbound
}

interface Definition<Shape extends z.ZodRawShape> {
  readonly type: string
  /** Its settings beside those that all have. */
  readonly settings: (fields: Fields) => Shape
  /** See DESIGN's three classes in `docs/receivers.md`. */
  readonly class: ReceiverClass | ((settings: z.output<z.ZodObject<Shape>>) => ReceiverClass)
  readonly test: Actions | ((settings: z.output<z.ZodObject<Shape>>) => Actions)
  /** What no single setting can tell: the setting that is wrong, and a sentence. */
  readonly problem?: (settings: z.output<z.ZodObject<Shape>>) => readonly [setting: string, message: string] | undefined
  readonly transport: (settings: z.output<z.ZodObject<Shape>>, means: Means) => Transport
  /** The way back, where its settings open one. */
  readonly inbound?: (settings: z.output<z.ZodObject<Shape>>) => Inbound | undefined
}

export interface ReceiverKind {
  readonly type: string
  /** Settings in, a receiver out. */
  schema(fields: Fields): z.ZodPipe<z.ZodObject, z.ZodTransform<ConfiguredReceiver, Record<string, unknown>>>
}

const sendOvertaken = z
  .boolean()
  .default(false)
  .describe('also send trigger and resolve of an incident that was over before its trigger could be sent')
const inDoubt = z
  .enum(['repeat', 'miss'])
  .default('repeat')
  .describe('class C only: what to do with an attempt whose effect nobody can know')

/** Settings of every kind; of those that can be blind besides what to do with an attempt in doubt. */
type Common = { readonly sendOvertaken: boolean; readonly inDoubt?: 'repeat' | 'miss' }

export function receiverKind<Shape extends z.ZodRawShape>(definition: Definition<Shape>): ReceiverKind {
  const { type, test, problem, transport } = definition
  const mayBeBlind = definition.class === 'C' || typeof definition.class === 'function'
  return {
    type,
    schema(fields) {
      const own = definition.settings(fields)
      const common = mayBeBlind ? { inDoubt, sendOvertaken } : { sendOvertaken }
      const schema = z.strictObject({ type: z.literal(type), ...own, ...common } as z.ZodRawShape)
      return schema.transform((given, context): ConfiguredReceiver => {
        const settings = given as z.output<z.ZodObject<Shape>> & Common
        const wrong = problem?.(settings)
        if (wrong !== undefined) {
          context.issues.push({ code: 'custom', path: [wrong[0]], message: wrong[1], input: given })
          return z.NEVER
        }
        return {
          type,
          class: typeof definition.class === 'function' ? definition.class(settings) : definition.class,
          inDoubt: settings.inDoubt ?? 'repeat',
          sendOvertaken: settings.sendOvertaken,
          test: typeof test === 'function' ? test(settings) : test,
          inbound: definition.inbound?.(settings),
          connect: (means) => silently(transport(settings, means), secretsIn(settings)),
        }
      })
    },
  }
}
