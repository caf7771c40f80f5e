import type { Measurement, Survey } from './probe.ts'
import type { Machine } from './sampler.ts'

/** A survey may take this share of a core: the whole agent is to stay below a hundredth. */
const mostOfACore = 1 / 200

/**
 * Does a survey no more often than `leastMs`, and less often where it takes long: it waits two hundred times as long as it was at work.
 * In between its last answer holds.
 * @param cpuMs milliseconds of CPU time that this process has used
 */
export function seldom(survey: Survey, leastMs: number, cpuMs: () => number): Survey {
  let answer: readonly Measurement[] = []
  let dueMs = -Infinity
  return {
    name: survey.name,
    async measure(machine: Machine, nowMs: number) {
      if (nowMs < dueMs) return answer
      // nothing old is told in the place of what cannot be measured any more
      answer = []
      dueMs = nowMs + leastMs
      const beganMs = cpuMs()
      answer = await survey.measure(machine, nowMs)
      dueMs = nowMs + Math.max(leastMs, (cpuMs() - beganMs) / mostOfACore)
      return answer
    },
  }
}
