import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseConfig } from './config.ts'
import { configurationTable } from './reference.ts'

const file = 'docs/configuration.md'
const begin = /<!-- keys: .* -->\n/
const end = '<!-- end of keys -->'

test('docs/configuration.md lists every key with its default', () => {
  const doc = readFileSync(file, 'utf8')
  const from = doc.search(begin) + begin.exec(doc)![0].length
  const to = doc.indexOf(end)
  if (process.env.RICCI_UPDATE_DOCS === '1') {
    writeFileSync(file, `${doc.slice(0, from)}\n${configurationTable()}\n\n${doc.slice(to)}`)
    return
  }
  // prettier pads cells: only the words count
  const words = (text: string) => text.replaceAll(/-{3,}/g, '---').split(/\s+/).filter(Boolean)
  assert.deepEqual(
    words(doc.slice(from, to)),
    words(configurationTable()),
    `${file} is behind the schema: RICCI_UPDATE_DOCS=1 npm test -- config/reference`,
  )
})

test('the example in docs/configuration.md is valid', () => {
  const yaml = /```yaml\n([^]*?)```/.exec(readFileSync(file, 'utf8'))![1]
  const config = parseConfig(yaml, 'ricci.yaml', {
    env: { PAGERDUTY_ROUTING_KEY: 'key' },
    readFile: () => 'Bearer token\n',
  })
  assert.equal(config.listen.udp, undefined)
  assert.deepEqual([...config.receivers.keys()], ['console', 'oncall', 'chat'])
})
