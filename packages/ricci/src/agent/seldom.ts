import type { Measurement, Survey } from './probe.ts'
import type { Machine } from './sampler.ts'

/** A survey may take this share of a core: the whole agent, with several of them, is to stay below a hundredth. */
const mostOfACore = 1 / 500

/** What is sent is never older: a figure of an hour ago is none. What else the agent did meanwhile, at its start above all, counts as well. */
const longestMs = 60_000

/**
 * Does a survey no more often than `leastMs`, and less often where it takes long: it waits five hundred times as long as it was at work, up to a minute.
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
      dueMs = nowMs + Math.min(longestMs, Math.max(leastMs, (cpuMs() - beganMs) / mostOfACore))
      return answer
    },
  }
}
