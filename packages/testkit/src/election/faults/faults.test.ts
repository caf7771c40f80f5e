import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'node:test'
import { without } from '../../servers/program.ts'
import { arenaKinds } from './arenas.ts'
import { cellsOfCi } from './cells.ts'
import { runMatrix } from './matrix.ts'

const program = resolve(fileURLToPath(import.meta.url), '../../../../../../election-candidate.mjs')

/** What a machine may add to a bound that runs the three stores side by side, and other work besides: a test is no measurement. */
const slackMs = 9000

// Side by side: each store has processes, ports and candidates of its own, and most of a trial is waiting. Their crashes make one another late by more
// than the half second in which profile `fast` takes a process for dead.
const kinds = ['consul-default', 'etcd', 'postgres']

describe('elections under real faults', { concurrency: true }, () => {
  for (const { name, servers } of arenaKinds.filter(({ name: each }) => kinds.includes(each)))
    it(
      `${name}: nobody acts who does not lead, and there is a leader again`,
      { skip: without(...servers) },
      async () => {
        const said: string[] = []
        const report = (line: string): void => void said.push(line)
        const result = await runMatrix({ program, trials: 2, stores: [name], faults: cellsOfCi, slackMs, report })
        assert.deepEqual(result.wrong, [])
        assert.deepEqual(
          result.cells.map(({ cell }) => cell.fault),
          cellsOfCi,
        )
        for (const cell of result.cells) {
          // The store's own crash is no reason for another leader; a single database may be away for longer than a lease.
          if (cell.cell.stays && name !== 'postgres')
            assert.ok(
              cell.trials.every(({ stayed, starved }) => stayed || starved),
              said.join('\n'),
            )
        }
        assert.ok(result.judgements.get(name)!.acts > 1000)
      },
    )
})
