import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtProgram } from './built.ts'
import type { EngineCommand, EngineMemory } from './engine-process.ts'
import { Fleet } from './fleet.ts'
import { framed } from './load.ts'
import { figuresOf, yardstickSamples, type Benchmark, type Table } from './measure.ts'

const engines = [
  { name: 'index()', rules: 'index', limitMb: 250 },
  { name: 'production rules', rules: 'production', limitMb: 400 },
] as const
/** What columns may still grow by after the tenth round: the buffers of rollups, and no more. */
const growthLimit = 0.02

export const benchmark: Benchmark = {
  about: 'memory of a process that holds the engine of the whole fleet: 150,000 keys, its newest snapshot kept',
  async run({ quick, tiny = false }) {
    const looks = tiny ? [1, 2] : quick ? [3, 10, 15] : [3, 10, 30, 60]
    mkdirSync('.build', { recursive: true })
    const folder = mkdtempSync(join('.build', 'bench-memory-'))
    const children = engines.map(({ rules }) => new EngineChild(rules))
    try {
      const fleet = new Fleet({ hosts: tiny ? 2 : 500 })
      const rows: string[][] = []
      const columns = engines.map(() => [] as number[])
      for (let round = 1; round <= looks[looks.length - 1]; round++) {
        const messages = fleet.nextMessages(3_000)
        const file = join(folder, 'round')
        writeFileSync(file, Buffer.concat(framed(messages)))
        for (const child of children) await child.ask({ file, messages: messages.length })
        if (!looks.includes(round)) continue
        for (const [i, { name, limitMb }] of engines.entries()) {
          const memory = (await children[i].ask('measure')) as EngineMemory
          columns[i].push(memory.columnBytes)
          const resident = memory.residentWithSnapshotBytes / 1e6
          rows.push([
            name,
            String(round),
            mb(memory.residentBytes),
            mb(memory.residentWithSnapshotBytes),
            `${limitMb} ${resident < limitMb ? 'met' : 'not met'}`,
            mb(memory.heapBytes),
            (memory.columnBytes / 1e6).toFixed(1),
            (memory.snapshotBytes / 1e6).toFixed(1),
            String(memory.forks),
            String(memory.symbols),
          ])
        }
      }
      const table: Table = {
        title: 'megabytes after so many rounds',
        columns: [
          'rules',
          'round',
          'resident',
          'and snapshot',
          'asked',
          'heap',
          'columns',
          'snapshot',
          'forks',
          'symbols',
        ],
        rows,
      }
      const notes = engines.map(({ name }, i) => `${name}: ${growthText(columns[i], looks)}`)
      return { figures: figuresOf(await yardstickSamples(tiny ? 1 : 5), []), tables: [table], notes }
    } finally {
      for (const child of children) await child.end()
      rmSync(folder, { recursive: true })
    }
  },
}

/** The engine's process; asked one thing at a time. */
class EngineChild {
  private readonly child: ChildProcess
  private readonly exited: Promise<unknown>

  constructor(rules: (typeof engines)[number]['rules']) {
    this.child = fork(builtProgram('engine-process'), [rules], { execArgv: ['--expose-gc'] })
    this.exited = once(this.child, 'exit')
  }

  async ask(command: EngineCommand): Promise<unknown> {
    const answer = once(this.child, 'message')
    this.child.send(command)
    const ended = this.exited.then(() => {
      throw new Error('the engine’s process ended; what it said stands above')
    })
    const [value] = (await Promise.race([answer, ended])) as [unknown]
    return value
  }

  async end(): Promise<void> {
    if (this.child.connected) this.child.disconnect()
    await this.exited
  }
}

function growthText(columns: readonly number[], looks: readonly number[]): string {
  const from = columns[Math.min(1, columns.length - 1)]
  const growth = columns[columns.length - 1] / from - 1
  const verdict = growth <= growthLimit ? 'no further growth' : 'still growing'
  return `columns grew by ${(100 * growth).toFixed(1)} % from round ${looks[Math.min(1, looks.length - 1)]} to ${looks[looks.length - 1]}: ${verdict}`
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
