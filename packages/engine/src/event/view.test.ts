import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { by, type EventView, rules, tap, where } from '../index.ts'

it('shows functions what queries see, whatever an attribute is called', () => {
  const names = ['__proto__', 'constructor', 'a']
  const bench = new EngineBench(
    rules(
      ...names.flatMap((name) => [
        where(`${name} = "x"`, tap(`query ${name}`)),
        where(
          (e: EventView) => Object.hasOwn(e.attributes, name) && e.attributes[name] === 'x',
          tap(`function ${name}`),
        ),
        by(
          name,
          where((e: EventView) => e.copy().attributes?.[name] === 'x', tap(`copy ${name}`)),
        ),
      ]),
    ),
  )
  const attributes = (name: string): Event => ({ host: name, attributes: Object.fromEntries([[name, 'x']]) })
  bench.events(1_000, ...names.map(attributes), { host: 'none' })
  for (const name of names) {
    for (const how of ['query', 'function', 'copy']) {
      assert.deepEqual(
        bench.tapped(`${how} ${name}`).map((event) => (event as Event).host),
        [name],
        `${how} ${name}`,
      )
    }
  }
})
