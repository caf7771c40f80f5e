import { pino, type Logger } from 'pino'

export type { Logger } from 'pino'

/** `people`: one short line each, for a terminal; `json`: pino's own lines, for a collector. */
export type LogFormat = 'people' | 'json'

export interface LoggerOptions {
  readonly format: LogFormat
  /** Least level that is written; default `info`. */
  readonly level?: string
  /** Where lines go; default standard error, so that standard output stays free for what was asked. */
  readonly write?: (line: string) => void
}

/** Makes the process's logger. Writing is synchronous: what was logged before a crash is on the screen. */
export function createLogger(options: LoggerOptions): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line))
  const stream = options.format === 'json' ? { write } : { write: (line: string) => write(forPeople(line)) }
  return pino({ level: options.level ?? 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream)
}

/** A logger that says nothing. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}

/** Fields of a line that are told by its layout. */
const laidOut = new Set(['time', 'level', 'msg', 'err'])

/** `12:03:07 error  text  key=value`. */
function forPeople(line: string): string {
  const entry = JSON.parse(line) as { time: string; level: number; msg?: string; err?: { message: string } }
  const fields = Object.entries(entry)
    .filter(([name]) => !laidOut.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const level = pino.levels.labels[entry.level] ?? String(entry.level)
  const parts = [
    `${entry.time.slice(11, 19)} ${level === 'info' ? '' : `${level}: `}${entry.msg ?? ''}`,
    entry.err === undefined ? '' : entry.err.message,
    fields.join(' '),
  ]
  // Names of producers, hosts and peers stand in lines: no escape sequence of theirs reaches the terminal.
  const text = parts.filter((part) => part !== '').join('  ')
  return `${text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]+/g, ' ')}\n`
}
