import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'node:test'
import { without } from '../../servers/program.ts'
import { arenaKinds } from './arenas.ts'
import { cellsOfCi } from './cells.ts'
import { rowOf, runMatrix } from './matrix.ts'

const program = resolve(fileURLToPath(import.meta.url), '../../../../../../election-candidate.mjs')

describe('elections under real faults', () => {
  for (const { name, servers } of arenaKinds.filter(({ name: each }) => ['consul', 'etcd', 'postgres'].includes(each)))
    it(
      `${name}: nobody acts who does not lead, and there is a leader again`,
      { skip: without(...servers) },
      async () => {
        const said: string[] = []
        const report = (line: string): void => void said.push(line)
        const result = await runMatrix({ program, trials: 2, stores: [name], faults: cellsOfCi, report })
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
              rowOf(cell),
            )
        }
        assert.ok(result.judgements.get(name)!.acts > 1000)
      },
    )
})
