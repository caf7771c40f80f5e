/**
 * The form that every kind of sink has: where flows go. A new kind is one file that defines its own with {@link sinkKind}, and its name in
 * `kinds.ts`: the configuration with its reference and messages, secrets kept out of what is told, and the table of faults in
 * `contract.test.ts` follow from it.
 */
import type { Clock, FlowResult, Sink } from '@ricci/replica'
import { z } from 'zod'
import type { Fields } from '../config/fields.ts'
import { hiding, secretsIn } from '../receivers/silence.ts'

/** What a sink is given of the process it is in. */
export interface SinkMeans {
  readonly clock: Clock
}

/** A sink that is connected, with what it keeps open. */
export interface OpenSink extends Sink {
  close?(): void
}

/** A sink as the configuration has it, secrets resolved. */
export interface ConfiguredSink {
  readonly type: string
  connect(means: SinkMeans): OpenSink
}

interface Definition<Shape extends z.ZodRawShape> {
  readonly type: string
  readonly settings: (fields: Fields) => Shape
  readonly sink: (settings: z.output<z.ZodObject<Shape>>, means: SinkMeans) => OpenSink
}

export interface SinkKind {
  readonly type: string
  /** Settings in, a sink out. */
  schema(fields: Fields): z.ZodPipe<z.ZodObject, z.ZodTransform<ConfiguredSink, Record<string, unknown>>>
}

export function sinkKind<Shape extends z.ZodRawShape>({ type, settings, sink }: Definition<Shape>): SinkKind {
  return {
    type,
    schema(fields) {
      const schema = z.strictObject({ type: z.literal(type), ...settings(fields) } as z.ZodRawShape)
      return schema.transform((given): ConfiguredSink => {
        const own = given as z.output<z.ZodObject<Shape>>
        return { type, connect: (means) => silentSink(sink(own, means), hiding(secretsIn(own))) }
      })
    },
  }
}

/** The sink, telling nothing that `hide` hides. */
function silentSink(sink: OpenSink, hide: (text: string) => string): OpenSink {
  return {
    gatherMs: sink.gatherMs,
    requestEvents: sink.requestEvents,
    close: () => sink.close?.(),
    async send(request, mayStart, signal) {
      try {
        const { through, failure, refused } = await sink.send(request, mayStart, signal)
        return {
          through,
          ...(failure && { failure: { ...failure, detail: hide(failure.detail) } }),
          ...(refused && { refused: { ...refused, detail: hide(refused.detail) } }),
        }
      } catch (error) {
        // a defect of the sink's: nobody knows what it took
        return failed(hide(error instanceof Error ? error.message : String(error)))
      }
    },
  }
}

/** Nothing was taken, as far as anybody knows. */
export function failed(detail: string, retryAfterMs?: number): FlowResult {
  return { through: 0, failure: { detail, ...(retryAfterMs !== undefined && { retryAfterMs }) } }
}

/** The time for beginning had passed. */
export const notBegun = failed('nothing was sent: this instance may not act now')
