import type { Mutation } from '@ricci/replica'
import { knownSeeds } from './mutations.ts'
import type { Verdict } from './oracle/verdict.ts'
import { runSeed } from './run.ts'

/** How many seeds from the known one on are searched: a small change elsewhere shifts what a seed does, not what seeds find. */
export const searchedSeeds = 60

export interface Finding {
  readonly mutation: Mutation
  readonly seed: number
  readonly verdict: Verdict
}

/** The first seed, from the known one on, on which the oracle finds that a rule is missing; undefined when none does. */
export async function searchMutation(mutation: Mutation): Promise<Finding | undefined> {
  const first = knownSeeds[mutation]
  for (let seed = first; seed < first + searchedSeeds; seed++) {
    const { verdicts } = await runSeed(seed, { mutation })
    const verdict = verdicts.find(({ kind }) => tells(kind, mutation))
    if (verdict !== undefined) return { mutation, seed, verdict }
  }
  return undefined
}

/**
 * That a run exercised too little says nothing about the rule, and that a replica failed is what the product's code says of itself. That
 * an alarm came or did not speaks of the alarms alone: of any other rule it must show what people are told, or what replicas hold. Owned
 * time that is wrong has to make itself felt, too.
 */
function tells(kind: Verdict['kind'], mutation: Mutation): boolean {
  if (kind === 'alarm missed' || kind === 'alarm without cause') return mutation === 'self-alarm'
  return kind !== 'nothing exercised' && kind !== 'replica failed' && kind !== 'owned time differs'
}

export function describeFinding({ mutation, seed, verdict }: Finding): string {
  return `${mutation.padEnd(14)} seed ${seed}: ${verdict.kind}: ${verdict.text}`
}
