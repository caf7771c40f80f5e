import type { Measurement, Survey } from './probe.ts'
import type { Machine } from './sampler.ts'

/** A survey may take this share of the time: the whole agent is to stay below a hundredth of a core. */
const mostOfTheTime = 1 / 200

/**
 * Does a survey no more often than `leastMs`, and less often where it takes long: it waits two hundred times as long as it took.
 * In between its last answer holds.
 */
export function seldom(survey: Survey, leastMs: number, monotonicMs: () => number): Survey {
  let answer: readonly Measurement[] = []
  let dueMs = -Infinity
  return {
    name: survey.name,
    async measure(machine: Machine, nowMs: number) {
      if (nowMs < dueMs) return answer
      // nothing old is told in the place of what cannot be measured any more
      answer = []
      dueMs = nowMs + leastMs
      const beganMs = monotonicMs()
      answer = await survey.measure(machine, nowMs)
      dueMs = nowMs + Math.max(leastMs, (monotonicMs() - beganMs) / mostOfTheTime)
      return answer
    },
  }
}
