import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { Command } from 'commander'
import { commandTree, runProgram } from './program.ts'
import type { Surroundings } from './surroundings.ts'

const surroundings = (note: (text: string) => void): Surroundings => ({
  ...{ write: note, print: async (text) => note(text), complain: note },
  ...{ env: {}, interactive: false, signals: new EventEmitter() },
})

async function run(words: readonly string[]): Promise<{ code: number; said: string }> {
  let said = ''
  const code = await runProgram(
    words,
    surroundings((text) => void (said += text)),
  )
  return { code, said }
}

const tree = await commandTree(surroundings(() => undefined))

/** Each command with the words that call it. */
function all(command: Command, words: readonly string[] = []): [string[], Command][] {
  const subs = command.commands.flatMap((sub) => all(sub, [...words, sub.name()]))
  return words.length === 0 ? subs : [[[...words], command], ...subs]
}

for (const [words, command] of all(tree)) {
  // its words are those of another command line
  if (words[0] === 'lead') continue

  test(`ricci ${words.join(' ')} says what it does, with an example, and refuses what it does not know`, async () => {
    assert.notEqual(command.description(), '')
    for (const option of command.options) assert.notEqual(option.description, '', option.flags)
    const help = await run([...words, '--help'])
    assert.equal(help.code, 0)
    const [, examples = ''] = /\nExamples?:\n((?: {2}.*\n)+)/.exec(help.said) ?? []
    assert.match(examples, /\bricci /, help.said)
    assert.doesNotMatch(help.said, /\[object|undefined/)
    for (const line of help.said.split('\n')) assert.ok(line.length <= 200, line)

    const needed = command.options.flatMap(({ mandatory, long, argChoices = [] }) =>
      mandatory ? [long!, argChoices[0] ?? 'x'] : [],
    )
    const wrong = await run([...words, ...needed, '--no-such-flag'])
    assert.equal(wrong.code, 2, wrong.said)
    assert.match(wrong.said, /unknown option '--no-such-flag'/)
    assert.match(wrong.said, /--help/, 'where to look')
    assert.doesNotMatch(wrong.said, /\n {4}at /)
  })
}

const meant: [string[], RegExp][] = [
  [['stauts'], /Did you mean status\?/],
  [['cluster', 'drian'], /Did you mean drain\?/],
  [['status', '--wacth'], /Did you mean --watch\?/],
  [['query', 'true', '--sort', 'metric desc'], /write a field, or field:desc/],
  [['log', 'tail', 'first'], /write a whole number/],
  [['log', 'tail', '0', '--kind', 'event'], /there is no kind "event"; there are events, /],
  [['bench', '--events', 'many'], /write events a second/],
  [['bench', '--server', 'x'], /"x" is no address/],
  [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
]
for (const [words, said] of meant) {
  test(`ricci ${words.join(' ')} says what may have been meant`, async () => {
    const wrong = await run(words)
    assert.deepEqual([wrong.code, said.test(wrong.said)], [2, true], wrong.said)
  })
}

const bash = spawnSync('bash', ['--version']).status === 0
const lines: [line: string, offered: string[]][] = [
  ['ricci stat', ['status']],
  ['ricci cluster d', ['drain']],
  ['ricci cluster drain --un', ['--undo']],
  ['ricci query true -o c', ['csv']],
  ['ricci query true --output ', ['table', 'json', 'csv']],
  ['ricci agent --keep ', ['disk', 'memory']],
  ['ricci completion ', ['bash', 'zsh', 'fish']],
  ['ricci serve --config ', []],
]
test('bash completes commands, flags and what flags take', { skip: !bash && 'no bash here' }, async () => {
  const { code, said: script } = await run(['completion', 'bash'])
  assert.equal(code, 0)
  const asks = lines.map(
    ([line]) => `words_of '${line}'
      COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); COMPREPLY=(); _ricci; echo "\${COMPREPLY[*]}"`,
  )
  const split = `words_of() { read -ra COMP_WORDS <<< "$1"; [[ "$1" == *' ' ]] && COMP_WORDS+=(''); }`
  const offered = execFileSync('bash', ['--norc', '-c', [script, split, ...asks].join('\n')], { encoding: 'utf8' })
  assert.deepEqual(
    offered.split('\n').slice(0, -1),
    lines.map(([, words]) => words.join(' ')),
  )
})

test('zsh and fish are told of every command, and nothing ends a quote', async () => {
  for (const shell of ['zsh', 'fish']) {
    const { said } = await run(['completion', shell])
    for (const [words] of all(tree)) assert.match(said, new RegExp(`\\b${words.at(-1)!}\\b`))
    for (const line of said.split('\n')) assert.equal(line.replaceAll(`'\\''`, '').split("'").length % 2, 1, line)
  }
})
