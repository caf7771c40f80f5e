/** `npm run vectors -- FOLDER`: runs recorded behaviour and prints each difference. */
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { differencesPage, readDifferences } from './differences.ts'
import { readVectors, runCase } from './run.ts'

const folder = process.argv[2] ?? 'packages/testkit/vectors'
// npm runs scripts in the repository's root; a relative folder is meant from where the user stands.
const from = process.argv[2] === undefined ? process.cwd() : (process.env.INIT_CWD ?? process.cwd())
process.exitCode = main(resolve(from, folder))

function main(path: string): number {
  const known = existsSync(differencesPage) ? readDifferences(readFileSync(differencesPage, 'utf8')) : []
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const skips = new Map<string, number>()
  let files
  try {
    files = readVectors(path)
  } catch (error) {
    console.error((error as Error).message)
    return 2
  }
  for (const { cases } of files) {
    for (const c of cases) {
      const outcome = runCase(c, known)
      counts[outcome.status]++
      if (outcome.status === 'skipped') skips.set(outcome.why, (skips.get(outcome.why) ?? 0) + 1)
      if (outcome.status !== 'failed') continue
      console.log(
        `${c.id}${c.about === undefined ? '' : `: ${c.about}`}${c.quirk === undefined ? '' : ` (quirk: ${c.quirk})`}`,
      )
      for (const line of outcome.differences) console.log(`    ${line}`)
    }
  }
  for (const [why, count] of [...skips].sort(([, a], [, b]) => b - a)) console.log(`skipped ${count}: ${why}`)
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  return counts.failed === 0 ? 0 : 1
}
