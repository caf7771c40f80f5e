/** Reads a folder of vectors and runs every case of it. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { NotThereYet, type Case, type Outcome } from './case.ts'
import { runCodec, type CodecCase } from './codec.ts'
import { differenceOf, type KnownDifference } from './differences.ts'
import { runFold, type FoldCase } from './folds.ts'
import { runQuery, type QueryCase } from './query.ts'
import { runStream, type StreamCase } from './streams.ts'

export interface CaseFile {
  /** Relative to the folder. */
  readonly name: string
  readonly cases: readonly Case[]
}

/**
 * Reads a folder (or one file) of vectors.
 * @throws Error with the file's name for what is no file of vectors
 */
export function readVectors(path: string): CaseFile[] {
  if (!existsSync(path)) throw new Error(`there is no ${path}; name a folder of vectors, as packages/testkit/vectors`)
  if (!statSync(path).isDirectory()) return [readFile(path, basename(path))]
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'))
  if (names.length === 0) throw new Error(`${path} holds no .json file; name a folder of vectors`)
  return names.sort().map((name) => readFile(join(path, name), name))
}

function readFile(path: string, name: string): CaseFile {
  let cases: unknown
  try {
    cases = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new Error(`${path} is no JSON: ${(cause as Error).message}`, { cause })
  }
  if (!Array.isArray(cases) || cases.some((c) => typeof c?.id !== 'string')) {
    throw new Error(`${path} is no list of cases with an id each`)
  }
  return { name, cases }
}

/** Runs one case. A case that differs is skipped only if the page of differences lists it. */
export function runCase(c: Case, known: readonly KnownDifference[]): Outcome {
  let outcome: Outcome
  try {
    outcome = dispatch(c)
  } catch (error) {
    if (error instanceof NotThereYet) return { status: 'skipped', why: `not there yet: ${error.message}` }
    outcome = {
      status: 'failed',
      differences: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
    }
  }
  if (outcome.status !== 'failed') return outcome
  const listed = differenceOf(c.id, known) ?? differenceOf(`${c.id} (${outcome.by})`, known)
  return listed === undefined ? outcome : { status: 'skipped', why: `differs on purpose: ${listed.why}` }
}

/** By what a case holds, not by its file's name: any folder may be cut up differently. */
function dispatch(c: Case): Outcome {
  if ('stream' in c) return runStream(c as StreamCase)
  if ('fold' in c) return runFold(c as FoldCase)
  if ('query' in c) return runQuery(c as QueryCase)
  if ('kind' in c && /^(?:decode|encode|bytes|exchange)$/.test(String(c.kind)) && c.id.startsWith('codec/')) {
    return runCodec(c as unknown as CodecCase)
  }
  throw new NotThereYet(c.id.split('/')[0])
}
