/** Whom a rule wants told when nobody takes an incident on: how it says so, and what is due. */
import { EngineError } from '../errors.ts'
import type { EscalationStep, Incident } from './incident.ts'

/** A step as rules write it. */
export interface EscalationOption {
  /** How long nobody took it on: seconds, or a text like `15m`, `1h`. */
  readonly after: number | string
  /** Name of a receiver. */
  readonly to: string
}

/** More people than that are no escalation; each incident carries them. */
const stepLimit = 10
const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * The steps of a rule, in the order of their times.
 * @param to who is told at once: of a step that tells them again nobody would hear
 * @throws EngineError `RULES_INVALID`
 */
export function escalationOf(given: unknown, to: readonly string[]): readonly EscalationStep[] {
  const wrong = (what: string): EngineError =>
    new EngineError('RULES_INVALID', `escalate takes a list like [{ after: '15m', to: 'lead' }]; ${what}`)
  if (!Array.isArray(given) || given.length === 0) throw wrong(`${JSON.stringify(given)} is none`)
  if (given.length > stepLimit) throw wrong(`it has ${given.length} steps, at most ${stepLimit} are taken`)
  const told = new Set(to)
  let lastMs = 0
  return given.map((step: Partial<EscalationOption> | null, i) => {
    const afterMs = timeMs(step?.after)
    if (afterMs === undefined) throw wrong(`step ${i + 1} needs a time in \`after\`: seconds, or a text like '15m'`)
    if (afterMs <= lastMs) throw wrong(`step ${i + 1} must come later than the one before it`)
    lastMs = afterMs
    const receiver = step?.to
    if (typeof receiver !== 'string' || receiver === '') throw wrong(`step ${i + 1} needs a receiver in \`to\``)
    if (told.has(receiver)) throw wrong(`step ${i + 1} tells ${receiver}, who has been told by then; name another`)
    told.add(receiver)
    return { afterMs, to: receiver }
  })
}

function timeMs(after: unknown): number | undefined {
  if (typeof after === 'number') return Number.isFinite(after) && after > 0 ? after * 1_000 : undefined
  const [, count, unit] = /^(\d+(?:\.\d+)?) ?(s|m|h|d)$/.exec(typeof after === 'string' ? after : '') ?? []
  return Number(count) > 0 ? Number(count) * unitsMs[unit] : undefined
}

/** A length of time as people say it. */
export function spanText(ms: number): string {
  const minutes = ms / 60_000
  if (minutes < 2) return `${Math.round(ms / 1_000)} s`
  return minutes < 120 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 60)} h`
}

/** The step that comes next; undefined where there is none, or somebody looks after it. */
export function nextStep({ escalate, escalated, acknowledged, snoozed }: Incident): EscalationStep | undefined {
  if (escalate === undefined || acknowledged !== undefined || snoozed !== undefined) return undefined
  return escalate[escalated]
}
