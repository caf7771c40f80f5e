// A reporter for Node's test runner that is silent about what passes: failures with place, error and the file's own output,
// a line for each reason to skip, one that names the slowest files where any are slow, then one of counts. Only leaves count: a suite or a parent
// that fails because of a child is not a second failure.
// It writes by itself and at once: with --test-force-exit the runner ends before a reporter's last lines have gone out.
import { writeSync } from 'node:fs'
import { relative } from 'node:path'
import { inspect } from 'node:util'

const root = new URL('..', import.meta.url).pathname
const slowestShown = 8
const slowMs = 5_000

export default async function* report(source) {
  const say = (line) => writeSync(1, `${line}\n`)
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const output = new Map()
  /** By file, the tests that have begun and not ended: who hung, where a file took too long. */
  const running = new Map()
  const skips = new Map()
  const took = new Map()
  process.on('exit', () => {
    for (const [reason, names] of skips)
      say(`skipped ${names.length}: ${reason} (${names.slice(0, 2).join('; ')}${names.length > 2 ? '; …' : ''})`)
    const slowest = [...took].filter(([, ms]) => ms >= slowMs).sort((a, b) => b[1] - a[1])
    if (slowest.length > 0) {
      const named = slowest.slice(0, slowestShown).map(([file, ms]) => `${file} ${(ms / 1000).toFixed(0)} s`)
      say(`slowest: ${named.join(', ')}`)
    }
    say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  })
  for await (const { type, data } of source) {
    if ((type === 'test:pass' || type === 'test:fail') && data.nesting === 0 && data.file !== undefined) {
      const file = data.file.replace(/^.*packages\//, '').replace(/\.m?[jt]s$/, '')
      took.set(file, (took.get(file) ?? 0) + (data.details?.duration_ms ?? 0))
    }
    if (type === 'test:stdout' || type === 'test:stderr') {
      output.set(data.file, (output.get(data.file) ?? '') + data.message)
    } else if (type === 'test:dequeue') {
      running.set(data.file, [...(running.get(data.file) ?? []), data.name])
    } else if (type === 'test:complete') {
      running.set(
        data.file,
        (running.get(data.file) ?? []).filter((name) => name !== data.name),
      )
    } else if (type === 'test:pass') {
      // the tests of a suite that is skipped are not told of: it counts as one
      if (data.details?.type === 'suite' && data.skip === undefined) continue
      if (data.skip !== undefined || data.todo !== undefined) {
        counts.skipped++
        const reason = typeof data.skip === 'string' ? data.skip : 'no reason given'
        skips.set(reason, [...(skips.get(reason) ?? []), data.name])
      } else counts.passed++
    } else if (type === 'test:diagnostic' && data.message.startsWith('ran against ')) {
      say(data.message)
    } else if (type === 'test:fail') {
      const error = data.details?.error
      if (error?.failureType === 'subtestsFailed') continue
      counts.failed++
      say(`\nFAILED ${title(data)}\n${indent(text(error))}`)
      const hung = running.get(data.file) ?? []
      if (error?.failureType === 'testTimeoutFailure' && hung.length > 0)
        say(indent(`had not ended: ${hung.join(' > ')}`))
      const said = output.get(data.file)
      if (said !== undefined) say(indent(`what the file printed:\n${said.trimEnd().split('\n').slice(-40).join('\n')}`))
    }
  }
}

/** Where a test stands: file, line and its name. */
function title({ file, line, name }) {
  if (file === undefined) return relative(root, name) || name
  return `${relative(root, file)}${line === undefined ? '' : `:${line}`} ${name}`
}

/** The cause of a failure as people read it: the assertion's message and stack, without the runner's own wrapping. */
function text(error) {
  const cause = error?.cause ?? error
  return typeof cause === 'string' ? cause : inspect(cause, { depth: 4 })
}

const indent = (lines) => lines.replace(/^/gm, '  ')
