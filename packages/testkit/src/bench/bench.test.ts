import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { benchmarks } from './benchmarks.ts'
import { without } from '../servers/program.ts'
import { printed } from './report.ts'

// Only that they run and what they print: figures are for `npm run bench`, on a machine that does nothing else.
describe('benchmarks', () => {
  for (const [name, load] of Object.entries(benchmarks)) {
    const skip = (name === 'cluster' || name === 'takeover') && without('rabbitmq', 'erlang', 'consul')
    it(`${name} runs and prints its table`, { skip }, async () => {
      const { benchmark } = await load()
      const report = await benchmark.run({ quick: true, tiny: true })
      assert.match(report.figures[0].name, /yardstick/)
      for (const figure of report.figures) {
        assert.ok(figure.medianNs >= 0 && figure.ratio > 0, `${figure.name}: ${JSON.stringify(figure)}`)
      }
      const text = printed(report)
      for (const figure of report.figures) assert.ok(text.includes(figure.name))
      for (const table of report.tables ?? []) {
        assert.ok(text.includes(table.title))
        assert.ok(table.rows.length > 0)
        for (const row of table.rows) assert.equal(row.length, table.columns.length)
      }
    })
  }
})
