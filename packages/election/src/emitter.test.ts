import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Emitter } from './emitter.ts'

class Numbers extends Emitter<{ number: number; error: string }> {
  say(number: number): void {
    this.emit('number', number)
  }

  fail(): void {
    this.emit('error', 'nobody listens')
  }
}

it('calls listeners in order, each once, until they are taken off', () => {
  const numbers = new Numbers()
  const said: string[] = []
  const first = (number: number): void => void said.push(`first ${number}`)
  const once = (number: number): void => void said.push(`once ${number}`)
  const never = (number: number): void => void said.push(`never ${number}`)
  numbers.on('number', first).on('number', first).once('number', once).once('number', never).off('number', never)
  numbers.say(1)
  numbers.say(2)
  numbers.off('number', first).off('number', first)
  numbers.say(3)
  assert.deepEqual(said, ['first 1', 'once 1', 'first 2'])
})

it('lets listeners emit, and add and remove others, meanwhile', () => {
  const numbers = new Numbers()
  const said: string[] = []
  numbers.once('number', (number) => {
    numbers.say(number + 1)
    numbers.on('number', (later) => said.push(`later ${later}`))
  })
  numbers.on('number', (number) => said.push(`${number}`))
  numbers.say(1)
  assert.deepEqual(said, ['2', '1'])
  numbers.say(3)
  assert.deepEqual(said.slice(2), ['3', 'later 3'])
})

it('does nothing where nobody listens, whatever the event is called', () => {
  assert.doesNotThrow(() => new Numbers().fail())
})
