// The tree itself is linted: what no compiler sees and what rots first.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'

/** Longer than this a file is hardly one concept; in the heart, where it must be read whole to be believed, sooner. */
const maxLines = (file: string): number => (/^packages\/(engine|replica)\//.test(file) ? 420 : 500)

/** Every file that git knows or would take in, but for recorded data. */
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
  .trim()
  .split('\n')
  .filter((file) => existsSync(file))
const recorded = /\/vectors\/.*\.json$|^package-lock\.json$|^LICENSE$/
const texts = new Map(files.filter((file) => !recorded.test(file)).map((file) => [file, readFileSync(file, 'utf8')]))
const named = (pattern: RegExp): [string, string][] => [...texts].filter(([file]) => pattern.test(file))
const code = named(/\.(ts|mjs)$/)
const pages = named(/\.md$/)

/** The places where a pattern occurs, as `file:line text`; a line that says `tidy: allow` is one that this file needs itself. */
function occurrences(of: [string, string][], pattern: RegExp): string[] {
  return of.flatMap(([file, text]) =>
    text
      .split('\n')
      .map((line, index) => ({ line, at: `${file}:${index + 1} ${line.trim()}` }))
      .filter(({ line }) => pattern.test(line) && !line.includes('tidy: allow'))
      .map(({ at }) => at),
  )
}

/** The anchor that a heading of Markdown gets. */
const anchor = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

/** Folders that machines have in common: a page may speak of them, wherever this clone lies. */
const everybodys = /^\/(private\/)?(tmp|var|opt|srv|home|usr|etc|mnt|media)(\/(tmp|lib|local|src|opt))?$/

describe('tidy', () => {
  it('no path of a developer’s machine', () => {
    const here = [process.cwd(), dirname(process.cwd()), homedir()].filter(
      (folder) => folder.length > 2 && !everybodys.test(folder),
    )
    const paths = new RegExp([...here.map((folder) => `(?<![\\w.}*-])${folder}/`), '/Users/', '/tmp/bash'].join('|')) // tidy: allow
    assert.deepEqual(occurrences([...texts], paths), [])
  })

  it('nothing left unfinished', () => {
    assert.deepEqual(occurrences(code, /\b(TODO|FIXME|XXX|HACK)\b|not implemented/), []) // tidy: allow
  })

  it('a rule switched off says why', () => {
    assert.deepEqual(
      occurrences(code, /(?:eslint-disable|@ts-expect-error|@ts-ignore|prettier-ignore)(?!.*(?:--|:) *\w+)/), // tidy: allow
      [],
    )
  })

  it('no file is longer than one concept', () => {
    const long = code
      .filter(([file]) => !file.includes('.test.'))
      .map(([file, text]) => ({ file, lines: text.split('\n').length }))
      .filter(({ file, lines }) => lines > maxLines(file))
    assert.deepEqual(long, [])
  })

  it('no stray file: names that are no names', () => {
    const stray = files.filter((file) => /^\d+$|\.(orig|rej|swp|bak)$|~$/.test(basename(file)))
    assert.deepEqual(stray, [])
  })

  it('every link between pages leads somewhere', () => {
    const broken: string[] = []
    let links = 0
    for (const [file, text] of pages)
      for (const [, target] of text.replace(/```.*?```/gs, '').matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        links++
        const [path, fragment] = target.split('#')
        const page = path === '' ? file : normalize(join(dirname(file), path))
        const headings = Array.from(texts.get(page)?.matchAll(/^#+ (.*)$/gm) ?? [], ([, heading]) => anchor(heading))
        if (!existsSync(page)) broken.push(`${file}: ${target}`)
        else if (fragment !== undefined && !headings.includes(fragment))
          broken.push(`${file}: ${target} (no such heading)`)
      }
    assert.deepEqual(broken, [])
    assert.ok(links > 0)
  })

  it('ARCHITECTURE.md and CONTRIBUTING.md name files that exist', () => {
    const missing: string[] = []
    for (const page of ['ARCHITECTURE.md', 'CONTRIBUTING.md']) {
      const text = texts.get(page)
      assert.ok(text !== undefined)
      for (const [, path] of text.matchAll(/`((?:packages|scripts|docs|examples|\.ci)\/[\w./*-]+)`/g))
        if (!path.includes('*') && !existsSync(path)) missing.push(`${page}: ${path}`)
    }
    assert.deepEqual(missing, [])
  })

  it('the index of decisions names each of them', () => {
    const notes = files.filter((file) => /^docs\/decisions\/\d{4}-.*\.md$/.test(file)).map((file) => basename(file))
    const index = texts.get('docs/decisions/README.md') ?? ''
    assert.ok(notes.length > 0)
    assert.deepEqual(
      Array.from(index.matchAll(/\]\((\d{4}-[^)]+)\)/g), ([, name]) => name),
      notes.sort(),
    )
  })

  it('packages agree on version, licence and Node', () => {
    const root = JSON.parse(texts.get('package.json')!) as Record<string, unknown>
    for (const [file, text] of named(/^packages\/[^/]+\/package\.json$/)) {
      const manifest = JSON.parse(text) as Record<string, unknown>
      for (const key of ['version', 'license', 'engines', 'type'])
        assert.deepEqual(manifest[key], root[key], `${key} of ${file}`)
      const ours = Object.entries((manifest.dependencies ?? {}) as Record<string, string>)
      for (const [name, range] of ours)
        assert.match(range, /^\d+\.\d+\.\d+$/, `${file} names no exact version of ${name}`)
      if (manifest.private !== true)
        assert.ok(existsSync(join(dirname(file), 'README.md')), `${file} has no README beside it`)
    }
  })
})
