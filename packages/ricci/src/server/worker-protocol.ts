/** What the main thread and an engine's worker say to each other. What is large goes as bytes that are transferred, not cloned. */
import {
  EngineError,
  type ChangePosition,
  type EngineErrorCode,
  type FlowPage,
  type FlowPlace,
  type Listed,
  type QueryOptions,
  type QueryPage,
  type RulesReport,
  type SortValues,
} from '@ricci/engine'
import { ReplicaError, type HostFailure, type HostStart, type Progress, type ReplicaErrorCode } from '@ricci/replica'
import type { IncidentFilter } from '../incidents/incident-filter.ts'
import type { RabbitLogOptions } from '../log/rabbitmq/rabbit-log.ts'
import type { ToldPage } from '../telemetry/internal-events.ts'
import type { NamesUsed } from '../rules/names-used.ts'

/** How a worker reads the log by itself. */
export type LogSource =
  | {
      readonly kind: 'embedded'
      readonly id: string
      readonly dataDirectory: string
      /** How far the log is durable: shared with the log's writer. */
      readonly progress: SharedArrayBuffer
    }
  | { readonly kind: 'rabbitmq'; readonly id: string; readonly options: Omit<RabbitLogOptions, 'clock' | 'onTrouble'> }

/** What a worker is started with. */
export interface WorkerSetup {
  readonly log: LogSource
  readonly partition: number
  /** Changes of the index are wanted from here on; absent while nobody reads them. */
  readonly changesFrom?: ChangePosition
  /** What rules threw at earlier records was told by an earlier worker, or before the start. */
  readonly ruleErrorsFrom: number
  /** Where the worker says what it is doing: shared with the monitor. */
  readonly words: SharedArrayBuffer
}

/** How events are written as text: in our own shape, or in Riemann's. */
export type JsonShape = 'json' | 'riemann-json'

/** Between two JSON texts of a page: none has a newline inside, so that they are told apart without being read. */
export const betweenTexts = ',\n'

/** How the pages of an answer are encoded: as fields of a Msg, or as JSON texts with {@link betweenTexts}. */
export type AnswerForm = 'msg' | JsonShape

/** What one may look at in a running engine, answered as JSON text; the bundle of the rules in force as base64, empty before there are any. */
export type Inspection = 'stats' | 'operators' | 'bundle' | ListingRequest | { readonly commands: readonly string[] }

/** Incidents or pages of one kind. */
export interface ListingRequest {
  readonly kind: Listed['kind']
  /** Those behind it. */
  readonly cursor?: string
  readonly limit: number
  readonly filter?: IncidentFilter
}

/** The rules that an engine runs, as their record has them. */
export interface RulesInForce extends NamesUsed {
  readonly hash: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Offset of their record. */
  readonly offset: number
  /** What the switch to them did; absent when they came with a snapshot. */
  readonly switched?: RulesSwitch
}

/** A switch of rules, as an engine reported it. */
export interface RulesSwitch extends RulesReport {
  /** Offset of the rules record. */
  readonly offset: number
  /** Calendar time of the switch, milliseconds since 1970; 0 where none had passed yet. */
  readonly atMs: number
}

export type ToWorker =
  | { readonly type: 'start'; readonly from: HostStart }
  /** The log has more than the worker had read when it went to sleep. */
  | { readonly type: 'wake' }
  | { readonly type: 'query'; readonly id: number; readonly query: string; readonly options?: QueryOptions }
  /** As `query`, once everything up to `atLeast` is applied, all pages of it, encoded where the events are. */
  | {
      readonly type: 'ask'
      readonly id: number
      readonly query: string
      readonly form: AnswerForm
      readonly atLeast: number
      readonly limit?: number
      readonly behind?: SortValues
    }
  /** Asks for a page of changes of the index, once there is one that matches; at once where `from` is absent. */
  | {
      readonly type: 'changes'
      readonly id: number
      readonly query: string
      readonly shape: JsonShape
      readonly from?: ChangePosition
    }
  /** A page of an answer has been passed on: one more may be sent. */
  | { readonly type: 'credit'; readonly id: number }
  /** Nobody waits for this answer any more. */
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'inspect'; readonly id: number; readonly what: Inspection }
  /** Asks for batches of a flow behind a place, as they are now. */
  | {
      readonly type: 'flow-page'
      readonly id: number
      readonly sink: string
      readonly after: FlowPlace | undefined
      readonly atMost: number
    }
  | { readonly type: 'hurry'; readonly on: boolean }
  | { readonly type: 'cut-at-next-state-hash' }
  | { readonly type: 'cut-now' }
  | { readonly type: 'cut-soon' }
  | { readonly type: 'take-snapshot'; readonly id: number }

export type FromWorker =
  | { readonly type: 'started' }
  | { readonly type: 'start-failed'; readonly error: PlainError }
  | { readonly type: 'progress'; readonly progress: Progress }
  /** Requests for changes that have seen all before a position, and found nothing. */
  | { readonly type: 'no-changes'; readonly ids: readonly number[]; readonly before: ChangePosition }
  | { readonly type: 'failure'; readonly failure: HostFailure }
  | { readonly type: 'page'; readonly id: number; readonly page: QueryPage | FlowPage }
  | { readonly type: 'text'; readonly id: number; readonly text: string }
  | ({ readonly type: 'rule-error' } & RuleError)
  /** Other rules are in force. */
  | { readonly type: 'rules'; readonly rules: RulesInForce }
  /** Paths of the operators by their numbers: what the monitor blames by. */
  | { readonly type: 'operators'; readonly paths: readonly string[] }
  /** One page of an answer, or one slice of a snapshot. */
  | { readonly type: 'bytes'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly id: number }
  | { readonly type: 'changes'; readonly id: number; readonly page: ChangesText }
  | { readonly type: 'page-news'; readonly news: PageNews }
  | { readonly type: 'error'; readonly id: number; readonly error: PlainError }

/** A user's function threw at a record; for people only, and not each time. */
export interface RuleError {
  readonly path: string
  readonly text: string
  readonly offset: number
}

/** A page was decided, or settled with a result: what log and metrics tell of it. */
export interface PageNews {
  /** Of the record that did it. */
  readonly offset: number
  readonly page: ToldPage
  readonly result?: string
}

/** A page of changes of the index. */
export interface ChangesText {
  /** JSON texts of the events, a newline after each. */
  readonly lines: Uint8Array
  /** Offset and number of the place where a reader goes on after each line; `next` after the last. Of an empty page, of `next` alone. */
  readonly after: readonly number[]
  /** As in the engine's own page. */
  readonly next: ChangePosition
  readonly gapUntil?: ChangePosition
}

/** Pages or slices on their way at a time: enough to hide a round trip, few enough to bound memory. */
export const maxCredits = 4

/** An error as it crosses threads, where classes do not. */
export interface PlainError {
  readonly name: string
  readonly code?: string
  readonly message: string
  readonly retriable?: boolean
  readonly stack?: string
}

export function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { name, message, stack } = error
  const { code, retriable } = error as { code?: string; retriable?: boolean }
  return { name, code, message, retriable, stack }
}

/** The error again, of the class it had. */
export function revivedError({ name, code, message, retriable, stack }: PlainError): Error {
  const error =
    name === 'EngineError'
      ? new EngineError(code as EngineErrorCode, message)
      : name === 'ReplicaError'
        ? new ReplicaError(code as ReplicaErrorCode, message, retriable ?? false)
        : Object.assign(new Error(message), code === undefined ? {} : { code })
  error.stack = stack ?? error.stack
  return error
}
