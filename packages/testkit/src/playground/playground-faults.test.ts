import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SeededRandom } from '../random.ts'
import { without } from '../servers/program.ts'
import { Playground } from './playground.ts'

/** The product lies at the top of the folder that the tests are bundled into. */
const program = resolve(fileURLToPath(import.meta.url), '../../../../../ricci.mjs')
/** On a busy machine, too. */
const patienceMs = 120_000

it(
  'a cluster to break by hand: an owner that is killed by its pid is told of, with who goes on, and is started again; each page comes once',
  { skip: without('rabbitmq', 'erlang', 'consul') },
  async (context) => {
    const said: string[] = []
    let heard = (): void => undefined
    const late = AbortSignal.timeout(patienceMs)
    const told = async (pattern: RegExp): Promise<void> => {
      while (!said.some((text) => pattern.test(text))) {
        if (late.aborted) assert.fail(`not told: ${pattern}\n${said.join('\n')}`)
        await new Promise<void>((wake) => {
          heard = wake
          late.addEventListener('abort', () => wake(), { once: true })
        })
      }
    }
    const playground = await Playground.start({
      program,
      random: new SeededRandom('by hand'),
      everyMs: 200,
      restartMs: 500,
      say(kind, text) {
        said.push(`${kind} ${text}`)
        heard()
      },
    })
    try {
      await told(/^page trigger job-failed/)
      const rows = await playground.rows()
      assert.equal(rows.length, 12)
      const owner = rows.find(({ role }) => role.startsWith('owns'))!
      const name = owner.name.split(' ')[1]
      process.kill(owner.pid!, 'SIGKILL')
      await told(new RegExp(`^process instance ${name} died by SIGKILL`))
      await told(new RegExp(`^owner partitions? [\\d, ]+: ${name} → `))
      await told(new RegExp(`^process instance ${name} is started again`))
      const { begun, ended, delivered, doubled, missing } = await playground.settle(patienceMs)
      assert.deepEqual([missing, doubled], [[], 0], said.join('\n'))
      assert.equal(delivered, begun + ended)
      context.diagnostic(`${delivered} pages`)
    } finally {
      await playground.stop()
    }
  },
)
