// A switch of rules over a real server, by its HTTP: what is told before, what is refused, what survives.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { Incident } from '@ricci/engine'
import type { RulesOverview } from './rules-overview.ts'
import { assertFewResolve, resolvedBy } from './rules-switch.ts'
import type { Reload } from './server-rules.ts'
import { Bench } from './testing.ts'
import { TypeCheck } from '../rules/type-check.ts'
import { builtFile } from './built-file.ts'
import { nodeClock } from './node-clock.ts'

const rulesWith = (name: string, limit: number): string =>
  `import { by, incident, index, rules, stable } from 'ricci'
export default rules(
  index(),
  by('host', stable(60, 'state', incident('slow', { to: 'console' }))),
  incident('${name}', { bad: 'metric > ${limit}', to: 'console' }),
)
`

describe('a switch of rules over HTTP', () => {
  const bench = new Bench(rulesWith('hot', 5))
  /** One process for all checks. */
  const types = new TypeCheck({ file: builtFile('type-checker'), clock: nodeClock, keep: true })
  after(async () => {
    await bench.close()
    await types.close()
  })

  it('is told beforehand, refused where many incidents would be over, and keeps what it can', async () => {
    const server = bench.server({ types })
    const { http } = await server.start()
    await server.ready()
    const url = (path: string): string => `http://${http}/api/v1/${path}`
    const get = async <Answer>(path: string): Promise<Answer> => (await (await fetch(url(path))).json()) as Answer
    const post = async (
      path: string,
      what: unknown,
    ): Promise<{ status: number; answer: Reload & { code?: string; error?: string } }> => {
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(url(path), { method: 'POST', headers, body: JSON.stringify(what) })
      return { status: response.status, answer: (await response.json()) as Reload }
    }
    const open = async (): Promise<string[]> =>
      (await get<{ incidents: { open: Incident[] } }>('incidents')).incidents.open.map(({ rule }) => rule)
    const events = Array.from({ length: 11 }, (_, i) => ({ host: `h${i}`, service: 's', metric: 9, state: 'ok' }))
    await post('events', events)

    assert.deepEqual(await get('rules/diff').then((diff) => (diff as { partitions: number[] }).partitions), [])
    bench.writeRules(rulesWith('hot', 6))
    const dry = await post('rules/reload', { dryRun: true })
    assert.equal(dry.answer.switched, false)
    assert.deepEqual(dry.answer.preview?.rules?.changed, [
      { path: 'incident[2]', option: 'bad', from: '"metric > 5"', to: '"metric > 6"' },
    ])
    const limit = await post('rules/reload', {})
    assert.equal(limit.answer.switched, true)
    assert.deepEqual(limit.answer.report?.kept, ['by[1]', 'by[1] > stable[0]'])
    assert.deepEqual(
      await open(),
      Array.from(events, () => 'hot'),
    )

    bench.writeRules(rulesWith('heat', 6))
    const refused = await post('rules/reload', {})
    assert.deepEqual([refused.status, refused.answer.code], [409, 'RULES_RESOLVE'])
    assert.match(
      refused.answer.error ?? '',
      /would resolve 11 open incidents.*hot \(11: h0 s, .*ricci rules reload --yes/,
    )
    assert.equal((await open()).length, 11)
    const { instances } = await get<RulesOverview>('rules')
    assert.match(instances[0].error ?? '', /would resolve 11/)

    const renamed = await post('rules/reload', { yes: true })
    assert.deepEqual(
      renamed.answer.preview?.resolves.rules.map(({ rule, count }) => [rule, count]),
      [['hot', 11]],
    )
    assert.deepEqual(await open(), [])
    const [{ partitions, differs }] = (await get<RulesOverview>('rules')).instances
    assert.deepEqual([partitions[0].hash, differs], [renamed.answer.preview?.onDisk, []])
    assert.equal(typeof partitions[0].atMs, 'number')

    bench.writeRules('export default rules(')
    const half = await post('rules/reload', {})
    assert.deepEqual([half.status, half.answer.code], [422, 'RULES_INVALID'])
    assert.match(half.answer.error ?? '', /index\.ts:1:22: Unexpected end of file\n  1 \| .*\n +\| +\^/)
    const broken = (await get<RulesOverview>('rules')).instances[0]
    assert.equal(broken.partitions[0].hash, partitions[0].hash)
    assert.match(broken.error ?? '', /Unexpected end of file/)
    bench.writeRules(rulesWith('heat', 7))
    assert.equal((await post('rules/reload', { dryRun: true })).status, 200)
    const mended = (await get<RulesOverview>('rules')).instances[0]
    assert.deepEqual([mended.error, mended.differs], [undefined, ['rules']])
  })
})

describe('open incidents that a switch would end', () => {
  const incidents = ['gone', 'delivery-failed', 'rule-quarantined', 'kept'].map((rule) => ({ rule, key: 'k' }))
  async function* told(missing: readonly number[]) {
    yield { incidents, missing: missing.map((partition) => ({ partition, code: 'NO_OWNER' })) }
  }
  const compared = (dropped: readonly string[] | undefined) => ({
    names: new Set(['kept']),
    ...(dropped && {
      difference: {
        kept: [],
        fresh: [],
        dropped: [],
        moved: [],
        changed: [],
        incidents: { kept: [], fresh: [], dropped },
      },
    }),
  })

  it('are those of rules that are declared no more, not of Ricci itself', async () => {
    const { rules } = await resolvedBy(new Set(['kept']), told([]))
    assert.deepEqual(rules, [{ rule: 'gone', count: 1, keys: ['k'] }])
  })

  for (const [what, missing, dropped, refused] of [
    ['all answered', [], ['gone'], false],
    ['one did not answer, and no rule is gone', [3], [], false],
    ['one did not answer, and a rule is gone', [3], ['gone'], true],
    ['one did not answer, and nobody knows which rules are gone', [3], undefined, true],
  ] as const) {
    it(`${refused ? 'ask' : 'do not ask'} for a word where ${what}`, async () => {
      const resolves = await resolvedBy(new Set(['kept']), told(missing))
      const judge = (): void => assertFewResolve(resolves, compared(dropped))
      if (refused) assert.throws(judge, { code: 'RULES_RESOLVE', message: /^partition 3 did not say/ })
      else judge()
    })
  }
})
