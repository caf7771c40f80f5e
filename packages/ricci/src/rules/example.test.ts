import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundleRules } from './bundle.ts'
import { evaluateBundle } from './evaluate.ts'

test('the example rules are a bundle that loads', async () => {
  const { bundle } = await bundleRules('examples/rules')
  const { streams } = evaluateBundle(bundle)
  assert.deepEqual(
    streams.map(({ operator }) => operator),
    ['index', 'by', 'where'],
  )
})
