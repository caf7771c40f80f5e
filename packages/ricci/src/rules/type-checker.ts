/**
 * The process that checks the types of rules: TypeScript needs 130 MB and a second of CPU, which the daemon should neither keep nor
 * wait for. It answers one message per check and ends when its parent lets go of the channel; asked again, it takes over what it
 * parsed before (0.6 s for the first check, 0.1 s for the next).
 *
 * TypeScript is found where this program is installed, else where the rules are.
 */
import { createRequire } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type TypeScript from 'typescript'
import type { Place } from '../config/excerpt.ts'
import { rulesCompilerOptions } from './compiler-options.ts'

/** What is asked. */
export interface TypeQuestion {
  /** Absolute. */
  readonly folder: string
  /** Where to begin, relative to the folder. */
  readonly files: readonly string[]
  /** Names that rules import, and the files that declare them. */
  readonly paths: Readonly<Record<string, string>>
}

/** What is answered. */
export type TypeAnswer =
  | { readonly checked: true; readonly errors: readonly TypeFault[] }
  /** Nothing was checked, and why. */
  | { readonly checked: false; readonly why: string }

/** One error, at its place with the file relative to the rules' folder; without one where it is about no file. */
export interface TypeFault {
  readonly place?: Place
  readonly message: string
}

type Compiler = typeof TypeScript

/** Errors told at once; the first are mended first. */
const maxErrors = 20

const checkers = new Map<Compiler, (question: TypeQuestion) => TypeAnswer>()

// Ctrl-C and a service manager's SIGTERM reach us as well: a check that ended so would count as none, and the rules as good enough
// to be switched to. Whoever asked ends us.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

process.on('message', (question: TypeQuestion) => {
  void answer(question).then((given) => process.send?.(given))
})

async function answer(question: TypeQuestion): Promise<TypeAnswer> {
  try {
    const compiler = await findCompiler(question.folder)
    if (compiler === undefined) return { checked: false, why: 'TypeScript is not installed (npm install typescript@6)' }
    if (typeof compiler.createProgram !== 'function') {
      return { checked: false, why: `TypeScript ${compiler.version} is not known here (npm install typescript@6)` }
    }
    let check = checkers.get(compiler)
    if (check === undefined) checkers.set(compiler, (check = checkerOf(compiler)))
    return check(question)
  } catch (error) {
    return { checked: false, why: `TypeScript failed: ${(error as Error).message}` }
  }
}

async function findCompiler(folder: string): Promise<Compiler | undefined> {
  const nearRules = (): string => {
    return pathToFileURL(createRequire(join(folder, 'index.ts')).resolve('typescript')).href
  }
  for (const name of [() => 'typescript', nearRules]) {
    try {
      const module = (await import(name())) as { default: Compiler }
      return module.default
    } catch {
      // the next place
    }
  }
  return undefined
}

/** Checks again and again, keeping what did not change. */
function checkerOf(ts: Compiler): (question: TypeQuestion) => TypeAnswer {
  const options: TypeScript.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    // what rules are given: the language, and nothing of Node or the web
    lib: ['lib.es2022.d.ts'],
    ...rulesCompilerOptions,
    // in a clone of the project the packages are their sources
    customConditions: ['ricci-source'],
  }
  const host = ts.createCompilerHost(options)
  const known = new Map<string, TypeScript.SourceFile>()
  const parse = host.getSourceFile.bind(host)
  host.getSourceFile = (name, ...rest) => {
    const before = known.get(name)
    if (before !== undefined && before.text === host.readFile(name)) return before
    const file = parse(name, ...rest)
    if (file === undefined) known.delete(name)
    else known.set(name, file)
    return file
  }
  let program: TypeScript.Program | undefined
  return ({ folder, files, paths }) => {
    const mapped = Object.fromEntries(Object.entries(paths).map(([name, file]) => [name, [file]]))
    const roots = files.map((file) => join(folder, file))
    host.getCurrentDirectory = () => folder
    program = ts.createProgram(roots, { ...options, paths: mapped }, host, program)
    // of a folder that was checked before, or of a file that is gone, nothing is kept
    for (const name of known.keys()) if (program.getSourceFile(name) === undefined) known.delete(name)
    const faults: TypeFault[] = program.getOptionsDiagnostics().map((each) => faultOf(ts, each, folder))
    for (const file of program.getSourceFiles()) {
      if (!isOwn(file.fileName, folder)) continue
      for (const each of [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
        faults.push(faultOf(ts, each, folder))
    }
    return { checked: true, errors: faults.slice(0, maxErrors) }
  }
}

/** A file of the rules themselves: not one of a package they use. */
function isOwn(file: string, folder: string): boolean {
  const path = relative(folder, file)
  return !path.startsWith('..') && !path.split(sep).includes('node_modules') && dirname(path) !== path
}

function faultOf(ts: Compiler, diagnostic: TypeScript.Diagnostic, folder: string): TypeFault {
  const message = textOf(diagnostic.code, ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n  '))
  const { file, start, length } = diagnostic
  if (file === undefined || start === undefined) return { message }
  const { line, character } = file.getLineAndCharacterOfPosition(start)
  const lineText = file.text.split(/\r?\n/)[line] ?? ''
  return {
    message,
    place: {
      file: relative(folder, file.fileName),
      line: line + 1,
      column: character + 1,
      length: length ?? 1,
      lineText,
    },
  }
}

/** Errors that advise to install Node's types or the web's: rules have neither. */
const missingSurroundings = new Set([2580, 2583, 2584, 2591, 2592, 2593])

function textOf(code: number, text: string): string {
  if (missingSurroundings.has(code)) {
    const name = /'([^']+)'/.exec(text)?.[1] ?? 'this'
    return `there is no ${name} in rules: a rule sees events and nothing else of the machine`
  }
  return `${text} (TS${code})`
}
